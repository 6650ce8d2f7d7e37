/**
 * The alerts, declared once: the PrometheusRule of a cluster, that of the chart and the plain file for any Prometheus
 * (`npm run monitoring`) all follow from here. Each has an entry in docs/operations.md, which a test compares.
 */
import type { Rule, Select } from './alertRule.ts';
import { CLUSTER_RULES } from './clusterAlertRules.ts';
import { OPERATOR_RULES } from './operatorAlertRules.ts';

/** Which series: those with these labels; null: all that there are. */
export type Scope = Readonly<Record<string, string>> | null;

interface AlertingRule {
  readonly alert: string;
  readonly expr: string;
  readonly for: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
}

export interface RuleGroup {
  readonly name: string;
  readonly rules: readonly AlertingRule[];
}

/** Where docs/operations.md is on the web, for those who are alerted; null: nobody has said. */
type Runbook = string | null;

/** As the API server and people who compare files like it: without anything that is computed elsewhere. */
function alertingRule(
  rule: Rule,
  { select, runbook }: { select: Select; runbook: Runbook },
): AlertingRule {
  const { alert, severity, summary, description } = rule;
  return {
    alert,
    expr: rule.expr(select),
    for: rule.for,
    labels: { severity },
    annotations: {
      ...{ summary, description },
      ...(runbook === null ? {} : { runbook_url: `${runbook}#${alert.toLowerCase()}` }),
    },
  };
}

function selectIn(scope: Scope): Select {
  const own = Object.entries(scope ?? {}).map(([label, value]) => `${label}="${value}"`);
  return (metric, matchers) => {
    // Every target has an `up`.
    const ours = scope === null && metric === 'up' ? ['walrus_cluster!=""'] : own;
    const all = matchers === undefined ? ours : [...ours, matchers];
    return all.length === 0 ? metric : `${metric}{${all.join(', ')}}`;
  };
}

/** About the nodes of one cluster, or of all. */
export function clusterAlerts(scope: Scope, runbook: Runbook): readonly RuleGroup[] {
  const how = { select: selectIn(scope), runbook };
  return [{ name: 'walrus', rules: CLUSTER_RULES.map((rule) => alertingRule(rule, how)) }];
}

/** About the operator, and what it says of all its clusters. */
export function operatorAlerts(runbook: Runbook): readonly RuleGroup[] {
  const how = { select: selectIn(null), runbook };
  return [
    { name: 'walrus-operator', rules: OPERATOR_RULES.map((rule) => alertingRule(rule, how)) },
  ];
}
