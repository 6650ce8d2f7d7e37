/** An alert, as it is declared. */

/** A metric of the scope, as a selector. @param matchers - More of them, like `state="down"`. */
export type Select = (metric: string, matchers?: string) => string;

export interface Rule {
  readonly alert: string;
  /** critical: people cannot write or read, or data are at risk. warning: somebody should look today. */
  readonly severity: 'critical' | 'warning';
  /** It has to be so for that long. */
  readonly for: string;
  readonly expr: (select: Select) => string;
  /** One line. */
  readonly summary: string;
  /** What it means, with the labels and the value. */
  readonly description: string;
}
