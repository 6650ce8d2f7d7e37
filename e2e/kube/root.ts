/** The checkout: everything is run by npm, from its root. */
export const ROOT = process.cwd();
