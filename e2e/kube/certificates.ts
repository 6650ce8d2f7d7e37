/** The certificates of a cluster, made with openssl, and the kubeconfigs of their owners. */
import { generateKeyPairSync } from 'node:crypto';
import fs from 'node:fs/promises';
import path from 'node:path';
import { run } from './commands.ts';
import { apiUrl } from './controlPlane.ts';
import { nodeAddress } from './addresses.ts';
import { addressesIn, nodeNames, nodeNumber, pathsOf } from './spec.ts';
import type { ClusterSpec } from './spec.ts';

const DAYS = '3650';

interface Certificate {
  /** Of its files. */
  readonly name: string;
  /** The user. */
  readonly commonName: string;
  /** The user's group. */
  readonly organization?: string;
  /** Addresses that it serves. */
  readonly subjectAltName?: string;
  readonly hasKubeconfig?: boolean;
}

/** Makes everything of a cluster that is signed, and the user's kubeconfig. */
export async function makeCertificates(spec: ClusterSpec): Promise<void> {
  const { pki, kubeconfig, kubeconfigOf } = pathsOf(spec.dir);
  await fs.mkdir(pki, { recursive: true, mode: 0o700 });
  const config = path.join(pki, 'openssl.cnf');
  await fs.writeFile(config, '[req]\ndistinguished_name=dn\n[dn]\n');
  const common = ['req', '-x509', '-config', config, '-days', DAYS, '-nodes', '-newkey', 'ec'];
  const base = [...common, '-pkeyopt', 'ec_paramgen_curve:prime256v1'];
  await run('openssl', [
    ...base,
    ...files(pki, 'ca'),
    ...['-subj', '/CN=walrus-kube'],
    ...extensions('basicConstraints=critical,CA:TRUE', 'keyUsage=critical,keyCertSign,cRLSign'),
  ]);
  await serviceAccountKey(pki);
  const ca = ['-CA', path.join(pki, 'ca.crt'), '-CAkey', path.join(pki, 'ca.key')];
  await Promise.all(
    certificatesOf(spec).map(async (certificate) => {
      await run('openssl', [
        ...base,
        ...ca,
        ...files(pki, certificate.name),
        ...names(certificate),
      ]);
      if (certificate.hasKubeconfig === true) await writeKubeconfig(spec, certificate.name);
    }),
  );
  await fs.copyFile(kubeconfigOf('admin'), kubeconfig);
}

function files(pki: string, name: string): string[] {
  return ['-keyout', path.join(pki, `${name}.key`), '-out', path.join(pki, `${name}.crt`)];
}

function extensions(...values: readonly string[]): string[] {
  return values.flatMap((value) => ['-addext', value]);
}

function names({ commonName, organization, subjectAltName }: Certificate): string[] {
  const group = organization === undefined ? '' : `/O=${organization}`;
  return [
    '-subj',
    `${group}/CN=${commonName}`,
    ...extensions(
      'basicConstraints=critical,CA:FALSE',
      'keyUsage=critical,digitalSignature,keyEncipherment',
      'extendedKeyUsage=clientAuth,serverAuth',
    ),
    ...(subjectAltName === undefined ? [] : extensions(`subjectAltName=${subjectAltName}`)),
  ];
}

function certificatesOf(spec: ClusterSpec): Certificate[] {
  const addresses = addressesIn(spec);
  const { controlPlane, apiService } = addresses;
  const component = (name: string): Certificate => ({
    name,
    commonName: `system:${name}`,
    hasKubeconfig: true,
  });
  const ofNode = (name: string): Certificate[] => [
    {
      name,
      commonName: `system:node:${name}`,
      organization: 'system:nodes',
      subjectAltName: `DNS:${name},IP:${nodeAddress(addresses, nodeNumber(name))}`,
      hasKubeconfig: true,
    },
    { name: `${name}-proxy`, commonName: 'system:kube-proxy', hasKubeconfig: true },
  ];
  const masters = 'system:masters';
  return [
    {
      name: 'apiserver',
      commonName: 'kube-apiserver',
      subjectAltName: `DNS:kubernetes.default.svc,IP:${controlPlane},IP:${apiService}`,
    },
    {
      name: 'apiserver-kubelet-client',
      commonName: 'kube-apiserver-kubelet-client',
      organization: masters,
    },
    { name: 'front-proxy-client', commonName: 'front-proxy-client' },
    { name: 'admin', commonName: 'admin', organization: masters, hasKubeconfig: true },
    component('kube-controller-manager'),
    component('kube-scheduler'),
    ...nodeNames(spec).flatMap(ofNode),
  ];
}

/** What the tokens of service accounts are signed with. */
async function serviceAccountKey(pki: string): Promise<void> {
  const { publicKey, privateKey } = generateKeyPairSync('rsa', {
    modulusLength: 2048,
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  });
  await fs.writeFile(path.join(pki, 'sa.pub'), publicKey);
  await fs.writeFile(path.join(pki, 'sa.key'), privateKey, { mode: 0o600 });
}

async function writeKubeconfig(spec: ClusterSpec, name: string): Promise<void> {
  const { pki, kubeconfigOf } = pathsOf(spec.dir);
  const base64 = (file: string): Promise<string> => fs.readFile(path.join(pki, file), 'base64');
  const cluster = {
    server: apiUrl(spec),
    'certificate-authority-data': await base64('ca.crt'),
  };
  const user = {
    'client-certificate-data': await base64(`${name}.crt`),
    'client-key-data': await base64(`${name}.key`),
  };
  const context = `walrus-${spec.name}`;
  const content = {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: context, cluster }],
    users: [{ name, user }],
    contexts: [{ name: context, context: { cluster: context, user: name } }],
    'current-context': context,
  };
  await fs.writeFile(kubeconfigOf(name), JSON.stringify(content, null, 2), { mode: 0o600 });
}
