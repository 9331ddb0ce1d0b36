import packageJson from "../package.json" with { type: "json" };

/** Of this program; becomes part of the executable when it is built. */
export const version: string = packageJson.version;
