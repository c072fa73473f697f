/** Whether tests that take long, many processes of the command line for the most part, are run too: `npm run test:long`. */
export const long = process.env["TAPWEIGHT_TESTS"] === "long"
