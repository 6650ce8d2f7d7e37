/** The version of this software, as it tells it to users and peers; a test compares it with package.json. */
export const SOFTWARE_VERSION = '0.1.0';
