/** A case of an alert, and the cluster that the cases are about. */

/** In Prometheus' notation: values a minute apart from 0 on, `1x10` ten more of it, `0+60x10` a rise by 60 each. */
export type Series = Readonly<Record<string, string>>;

export interface AlertCase {
  readonly alert: string;
  readonly fires: {
    readonly series: Series;
    readonly at: string;
    /** Beside alertname and severity. */
    readonly labels: Readonly<Record<string, string>>;
    /** As the description shows it, if it does. */
    readonly value?: string;
  };
  /** Nearly the same. */
  readonly silent: { readonly series: Series; readonly at: string };
}

export const SEA = 'namespace="ocean", walrus_cluster="sea"';
export const CLUSTER = { namespace: 'ocean', walrus_cluster: 'sea' };
