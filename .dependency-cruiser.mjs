// Who may import whom. `npm run check -- --only structure` runs it.

/** Tests and what only tests use. */
const TESTS = '\\.(test|e2e)\\.ts$|/testing/';
/** Where the outside (files, sockets, processes) is touched. Everything else gets it passed in. */
const OUTSIDE =
  '^(node|client|cli)/io/|^cli/|^node/main\\.ts$|^node/sim/(main|jobs)\\.ts$|^(scripts|bench|e2e|tla|operator)/';
const PRODUCT = '^(base|protocol|node|client|cli|operator)/';

const rule = (name, comment, from, to) => ({ name, severity: 'error', comment, from, to });
/** Code of a folder may import only what `allowed` matches. */
const only = (name, comment, folder, allowed) =>
  rule(name, comment, { path: folder, pathNot: TESTS }, { pathNot: allowed });

export default {
  forbidden: [
    rule('no-cycles', 'No cycles, not even of types.', {}, { circular: true }),
    rule('no-missing', 'Every import leads somewhere.', {}, { couldNotResolve: true }),
    only('base-is-alone', 'base imports only itself.', '^base/', '^base/'),
    only('protocol-is-pure', 'protocol imports base.', '^protocol/', '^(protocol|base)/'),
    only('raft-is-pure', 'raft imports only itself and base.', '^node/raft/', '^(node/raft|base)/'),
    only(
      'state-is-pure',
      'state imports itself and base; of raft only what a state machine is.',
      '^node/state/',
      '^(node/state|base)/|^node/raft/types\\.ts$',
    ),
    only(
      'client-is-a-library',
      'client imports protocol and base; client/io also the outside.',
      '^client/(?!io/)',
      '^(client|protocol|base)/',
    ),
    rule(
      'client-io-knows-no-node',
      'client/io is part of the library, too.',
      { path: '^client/io/', pathNot: TESTS },
      { path: '^(node|cli|operator)/' },
    ),
    rule(
      'cli-uses-the-client',
      'cli imports client and base, the entry and settings of the node for `walrus node`, the entry of the operator, and what the admin API says.',
      { path: '^cli/', pathNot: TESTS },
      { path: '^protocol/(?!admin/)|^operator/(?!main\\.ts$)|^node/(?!main\\.ts$|config)' },
    ),
    rule(
      'only-io-touches-the-outside',
      'Only node/io, client/io, entries and tools import modules of Node.',
      { path: PRODUCT, pathNot: `${OUTSIDE}|${TESTS}` },
      { dependencyTypes: ['core'] },
    ),
    rule(
      'only-io-uses-packages',
      'Packages may do what Node does: only the same places import them.',
      { path: PRODUCT, pathNot: `${OUTSIDE}|${TESTS}` },
      { dependencyTypes: ['npm', 'npm-dev', 'npm-optional', 'npm-peer', 'npm-no-pkg'] },
    ),
    rule(
      'io-is-passed-in',
      'In the node only its entry imports node/io; all else runs in the simulator as it is.',
      { path: '^node/(?!io/|main\\.ts$|sim/main\\.ts$)', pathNot: TESTS },
      { path: '^node/io/' },
    ),
    only(
      'operator-decides-purely',
      'What is wanted and what to do next follow from data alone: no Kubernetes client, no clock.',
      '^operator/(api|desired|plan)/',
      '^operator/(api|desired|plan)/|^operator/observe/types\\.ts$|^(protocol|base)/|^crds/(schema|statusSchema)\\.ts$|^node_modules/@sinclair/typebox/',
    ),
    rule(
      'kubernetes-client-behind-one-folder',
      'Only operator/kube and the entry know the Kubernetes client.',
      { path: '^operator/(?!kube/|main\\.ts$)', pathNot: TESTS },
      { path: 'node_modules/@kubernetes/' },
    ),
    ...['node/sim', 'e2e', 'bench'].map((folder) =>
      rule(
        `nobody-imports-${folder.replace('/', '-')}`,
        `Nothing outside imports ${folder}, but tests.`,
        { pathNot: `^${folder}/|${TESTS}` },
        { path: `^${folder}/` },
      ),
    ),
    rule(
      'nobody-imports-tests',
      'Only tests (and the simulator and benchmarks, which are tests) import tests.',
      { pathNot: `${TESTS}|^(node/sim|e2e|bench)/` },
      { path: TESTS },
    ),
    rule(
      'no-dev-packages',
      'What is shipped depends only on what is installed with it.',
      { path: PRODUCT, pathNot: `${TESTS}|^node/sim/` },
      { dependencyTypes: ['npm-dev'], dependencyTypesNot: ['type-only'] },
    ),
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    exclude: { path: '^(dist|node_modules/\\.cache)/' },
    tsConfig: { fileName: 'tsconfig.json' },
    tsPreCompilationDeps: true,
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'require', 'node', 'default', 'types'],
    },
  },
};
