/** What an operator is told. */
export interface OperatorSettings {
  /** Look after the clusters of one namespace only; null: of all. */
  readonly namespace: string | null;
  /** Where its Lease is: its own namespace. */
  readonly leaseNamespace: string;
  /** Of all operators that look after the same clusters; others beside them have another. */
  readonly leaseName: string;
  /** Of its pod; absent: it is not in Kubernetes. */
  readonly podNamespace?: string;
  /** Of this process; a pod's name. */
  readonly identity: string;
  /** Of clusters that name neither an image nor a version; absent: `imageRepository` with the operator's version. */
  readonly image?: string;
  readonly imageRepository: string;
  /** Where docs/operations.md is on the web; absent: alerts lead nowhere. */
  readonly runbookUrl?: string;
  readonly host: string;
  readonly port: number;
  readonly logLevel: 'debug' | 'info' | 'warn' | 'error';
  /** A cluster in which nothing changes is looked at again after so long. */
  readonly resyncMs: number;
  /** For tests on this machine: the nodes' http port. */
  readonly nodeHttpPort?: number;
}
