type Json = Readonly<Record<string, unknown>>;

export interface OpenApi {
  readonly definitions: Readonly<Record<string, Json>>;
}

/** The kinds that the chart makes: group (empty: the core), version, kind. */
const KINDS = [
  ['', 'v1', 'ConfigMap'],
  ['', 'v1', 'Pod'],
  ['', 'v1', 'Secret'],
  ['', 'v1', 'Service'],
  ['', 'v1', 'ServiceAccount'],
  ['apps', 'v1', 'Deployment'],
  ['autoscaling', 'v2', 'HorizontalPodAutoscaler'],
  ['batch', 'v1', 'Job'],
  ['networking.k8s.io', 'v1', 'Ingress'],
  ['networking.k8s.io', 'v1', 'NetworkPolicy'],
  ['policy', 'v1', 'PodDisruptionBudget'],
] as const;

const REFERENCE = '#/definitions/';
const EITHER = { type: ['string', 'integer'] };

/** A strict, self-contained JSON schema of each kind: file name to schema. Unknown fields are mistakes. */
export function kubernetesSchemas({ definitions }: OpenApi): ReadonlyMap<string, Json> {
  return new Map(
    KINDS.map(([group, version, kind]) => {
      const name = definitionOf(definitions, group, version, kind);
      const used = new Map<string, unknown>();
      collect(definitions, name, used);
      const file = `${[kind, ...group.split('.').slice(0, 1), version].filter(Boolean).join('-')}`.toLowerCase();
      const all = Object.fromEntries([...used].sort(([a], [b]) => (a < b ? -1 : 1)));
      return [file, { $ref: REFERENCE + name, definitions: all }];
    }),
  );
}

function definitionOf(definitions: OpenApi['definitions'], group: string, version: string, kind: string): string {
  for (const [name, definition] of Object.entries(definitions)) {
    const kinds = (definition['x-kubernetes-group-version-kind'] ?? []) as readonly Json[];
    const [first] = kinds;
    if (kinds.length === 1 && first?.['group'] === group && first['version'] === version && first['kind'] === kind) {
      return name;
    }
  }
  throw new Error(`There is no ${kind} of ${group}/${version}.`);
}

function collect(definitions: OpenApi['definitions'], name: string, used: Map<string, unknown>): void {
  if (used.has(name)) return;
  const definition = definitions[name];
  if (definition === undefined) throw new Error(`There is no definition ${name}.`);
  used.set(name, undefined);
  // Its schema says text; the API server takes numbers as well.
  used.set(name, name.endsWith('.api.resource.Quantity') ? { type: ['string', 'number'] } : strict(definition));
  for (const [, next] of JSON.stringify(definition).matchAll(/"#\/definitions\/([^"]+)"/g)) {
    if (next !== undefined) collect(definitions, next, used);
  }
}

interface CustomResource {
  readonly spec: {
    readonly group: string;
    readonly names: { readonly kind: string };
    readonly versions: readonly { readonly name: string; readonly schema: { readonly openAPIV3Schema: Json } }[];
  };
}

/** The same of a CustomResourceDefinition. */
export function customSchema(definition: unknown): ReadonlyMap<string, Json> {
  const { group, names, versions } = (definition as CustomResource).spec;
  return new Map(
    versions
      .filter(({ name }) => !name.includes('beta'))
      .map(({ name, schema }) => [
        `${names.kind}-${group}-${name}`.toLowerCase(),
        strict(schema.openAPIV3Schema) as Json,
      ]),
  );
}

/** Without what does not decide anything, and closed wherever the fields are named. */
function strict(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(strict);
  if (typeof schema !== 'object' || schema === null) return schema;
  const given = schema as Json;
  if (given['x-kubernetes-int-or-string'] === true || given['format'] === 'int-or-string') return EITHER;
  if (typeof given['$ref'] === 'string') return { $ref: given['$ref'] };
  const made: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(given)) {
    // Formats and defaults are for other readers; patterns of CRDs are Go's, which agree with those of JSON schema here.
    if (key.startsWith('x-') || ['description', 'format', 'default', 'example', 'nullable'].includes(key)) continue;
    made[key] = key === 'properties' ? mapOf(value as Json) : strict(value);
  }
  const open = given['x-kubernetes-preserve-unknown-fields'] === true;
  if (made['properties'] !== undefined && made['additionalProperties'] === undefined && !open) {
    made['additionalProperties'] = false;
  }
  if (given['nullable'] === true && typeof made['type'] === 'string') made['type'] = [made['type'], 'null'];
  return made;
}

function mapOf(properties: Json): Json {
  return Object.fromEntries(Object.entries(properties).map(([name, value]) => [name, strict(value)]));
}
