/** Addresses as people write them: `host:port`, `[::1]:port`. */

export interface Address {
  readonly host: string;
  readonly port: number;
}

/** Takes an address apart; undefined when it is not one. */
export function parseAddress(text: string): Address | undefined {
  const match = /^(?:\[([0-9A-Fa-f:.]+)\]|([^\s:[\]]+)):(\d{1,5})$/.exec(text);
  const host = match?.[1] ?? match?.[2];
  const port = Number(match?.[3]);
  if (host === undefined || port < 1 || port > 65535) return undefined;
  return { host, port };
}
