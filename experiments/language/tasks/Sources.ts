/** Addresses of tasks' files at commits, which always have the same bytes; the hash of a file is declared where it has been seen. */
import type { TaskSchema } from "./TaskSchema.ts"

type Sources = NonNullable<TaskSchema["sources"]>
type Files = { readonly [file: string]: string | undefined }

/** Files of a folder of a repository, by their names, with their hashes, for a folder of the data's. */
const at = (folder: string, from: string, files: Files): Sources =>
  Object.entries(files).map(([file, sha256]) => ({
    file: `${folder}/${file}`,
    url: `https://raw.githubusercontent.com/${from}/${file}`,
    ...(sha256 === undefined ? {} : { sha256 })
  }))

/** GLUE as its zip has it. */
const glue = "F0restL1n/BERT/0d0288be08079531c7b3a85af3d532f9adb0f13a/glue_data"

export const cola = at("CoLA", `${glue}/CoLA`, {
  "train.tsv": "cb368ebeb9f27d7ad03720d27ddc95687a311bdb100781a2fe59a5f5b1bc0624",
  "dev.tsv": "8c013e21dc39957cac37378d87bebe225b694a0d5fe13eded66c2856628833fd"
})

export const sst2 = at("SST-2", `${glue}/SST-2`, {
  "train.tsv": "48eac26399f8456935f81dd9e3a745c1430adb6c62e233ccfe22db4a0d15d1d1",
  "dev.tsv": "54a9c12c77e402fc14d6a66a506f24d999f596b0176eb777c972cccc2f9cc4b0"
})

export const stsb = at("STS-B", `${glue}/STS-B`, {
  "train.tsv": "41c4d978b6162abdcada7e49a982211954cca5459c228db478af333124b257a2",
  "dev.tsv": "fe7dc0632a5033562f3cadff991f6e8d9b9b6311861660e78c3c82eb7db67f59"
})

export const rct = at(
  "PubMed_20k_RCT",
  "Franck-Dernoncourt/pubmed-rct/17ed2cb0590decfca0266add0c76f254f67232b4/PubMed_20k_RCT",
  {
    "train.txt": undefined,
    "dev.txt": undefined,
    "test.txt": undefined
  }
)

export const agNews = at(
  "ag_news_csv",
  "mhjabreel/CharCnn_Keras/555590db4219b1243abb1918effd6a7425a2d75f/data/ag_news_csv",
  {
    "train.csv": undefined,
    "test.csv": "521465c2428ed7f02f8d6db6ffdd4b5447c1c701962353eb2c40d548c3c85699"
  }
)

export const csabstruct = at(
  "CSAbstruct",
  "allenai/sequential_sentence_classification/cf5ad6c663550dd8203f148cd703768d9ee86ff4/data/CSAbstruct",
  {
    "train.jsonl": "0d184597fc87640e0a51d439ed3e3ccff68a28125da6151a3e86005b202829b1",
    "dev.jsonl": "37d8fc9a932516b290afacd4d294111141ce31c503260de8be145bd4b28d62f5",
    "test.jsonl": "de6dfac6e8efed842b45764b1b1c551d72d14da849022544bba95a8a1dcc09cc"
  }
)

export const piboso = at(
  "nicta_piboso",
  "jind11/HSLN-Joint-Sentence-Classification/08f1442d582206ae537d30196c19cfa225f53e89/data/nicta_piboso",
  {
    "train_clean.txt": "89dd5b28a4a70982b14de3ff82d6cc8e496c133167dc20feb4a3213b4bafd9af",
    "dev_clean.txt": "981961ab2cf6016d0892739fc00fb9c36f0b3761d0f5238d8d5d5583f09a0d7a",
    "test_clean.txt": "71f1010d99ae1aa25abb8f04f13ee9fb6c78a460769beb6c6f1cbba6d1e1a0e2"
  }
)

export const chemprot = at(
  "chemprot",
  "allenai/scibert/06793f77d7278898159ed50da30d173cdc8fdea9/data/text_classification/chemprot",
  {
    "train.txt": "ab17b85c4fb869b2338d7c9617414e63f3c7225e5005920b18d9cd996f1049d8",
    "dev.txt": "bfe8f39e5146ad4bb16b23707dade850546a305047bc666f6f6824c6a7e3df2f",
    "test.txt": "372249c85ffea6d9a18dc5168cf45841b3d79b03412d6c620381cfc0dd3d6d49"
  }
)
