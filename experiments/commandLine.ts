/** The command line of the repository: the library's own, with the paper's programs and commands. */
import { Cli } from "tapweight/cli"
import { control } from "./brown/Control.ts"
import { brown } from "./brown/Brown.ts"
import { landscape as digitsLandscape } from "./digits/Landscape.ts"
import { digits } from "./digits/Program.ts"
import { data } from "./commands/Data.ts"
import { reproduce } from "./commands/Reproduce.ts"
import { landscape as languageLandscape } from "./language/Landscape.ts"
import { language } from "./language/Language.ts"
import { proximal } from "./language/Proximal.ts"
import { auxiliary } from "./language/weights/Auxiliary.ts"
import { roles } from "./language/weights/Roles.ts"
import { landscape } from "./molecules/Landscape.ts"
import { molecules } from "./molecules/Molecules.ts"

export default Cli.make({
  programs: {
    brown,
    "brown-control": control,
    digits,
    "digits-landscape": digitsLandscape,
    language,
    "language-landscape": languageLandscape,
    "language-proximal": proximal,
    molecules,
    "molecules-landscape": landscape,
    "language-roles": roles,
    "language-auxiliary": auxiliary
  },
  commands: [data, reproduce]
})
