import fc, { type Arbitrary } from 'fast-check'
import type { ApiDocument, Schema } from './document.ts'

/**
 * What is put into a request. `$seen` stands for something that an earlier answer showed under one of these names, `$raw` for
 * JSON as it is written.
 */
export type Value =
  | null
  | boolean
  | number
  | string
  | readonly Value[]
  | { readonly [name: string]: Value }
  | { readonly $seen: readonly string[]; readonly nth: number }
  | { readonly $raw: string }

/** Begins whatever is handed to the server as if it were a secret: it must not turn up in a log or an error. */
export const HUSH = 'HUSH'

/** Under which names answers show what a parameter takes. Anything that was seen, for a name that is not listed. */
const SHOWN_AS: Record<string, string[]> = {
  pool: ['pool', 'name'],
  id: ['keyId', 'id'],
  leaseId: ['leaseId'],
  lease: ['leaseId'],
  key: ['key', 'key:', 'api_key'],
  api_key: ['api_key', 'key'],
  token: ['key:'],
  cursor: ['nextCursor'],
  fence: ['fence'],
  code: ['code']
}
const SECRETS = ['key', 'api_key', 'token']
/** Free text, for which nothing that was seen is of use. It might be a secret that is then shown rightly. */
const FREE_TEXT = ['holder', 'alphabet', 'prefix', 'idempotency-key', 'metadata']

const HOSTILE_STRINGS = [
  '',
  ' ',
  '\0',
  'a\0b',
  '\n',
  '\r\nX-Injected: 1',
  '__proto__',
  'constructor',
  'toString',
  '../../etc/passwd',
  '..',
  '.',
  '/',
  '%2F',
  '%00',
  '\ud800',
  '\udfff\ud800',
  '\u202eabc',
  '\u2028',
  'ß\u0301\u{1f511}',
  '\ufeff',
  '0',
  '-1',
  '1e999',
  'NaN',
  '9007199254740993',
  'null',
  'true',
  '[]',
  '{}',
  "'; DROP TABLE keys; --",
  '<script>',
  '${7*7}',
  'aaaaaaaaaaaaaaaaaaaaaa',
  'aaaaaaaaaaaaaaaaaaaaaa.1',
  'aaaaaaaaaaaaaaaaaaaaaa.99999999999999999999',
  'x'.repeat(600),
  'é'.repeat(300)
]

const HOSTILE_JSON = [
  '1e999',
  '-1e999',
  '-0',
  '1.5',
  '0.0000001',
  '9007199254740993',
  '123456789012345678901234567890',
  '1E2',
  '""',
  '"\\u0000"',
  '"\\ud800"',
  'null',
  'true',
  '[]',
  '{}',
  '[[]]',
  '{"__proto__":{"a":1}}',
  '{"constructor":{"prototype":{"a":1}}}',
  '{"":""}',
  '{"a":1,"a":2}',
  `${'['.repeat(500)}${']'.repeat(500)}`,
  `${'{"a":'.repeat(500)}1${'}'.repeat(500)}`
]

/** Bodies that are not even JSON, or nothing that a schema could describe. */
const HOSTILE_TEXTS = [
  '',
  ' ',
  '{',
  '{"',
  '{}{}',
  "{'count':1}",
  '{"count":01}',
  '{"count":1,}',
  '{"count":1,"count":2}',
  '{"operations":[{"op":"acquire","op":"delete"}]}',
  'NaN',
  'undefined',
  '\ufeff{}',
  '\0',
  `{"key":"${HUSH}-unclosed`,
  `${HUSH} is no JSON`,
  '['.repeat(100_000),
  'count=1',
  '<xml/>'
]

export const hostileString: Arbitrary<string> = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom(...HOSTILE_STRINGS) },
  { weight: 1, arbitrary: fc.array(fc.nat(0xffff), { maxLength: 20 }).map(units => String.fromCharCode(...units)) },
  { weight: 1, arbitrary: fc.string({ maxLength: 20 }).map(text => HUSH + text) }
)
export const hostileText: Arbitrary<string> = fc.oneof(
  fc.constantFrom(...HOSTILE_TEXTS, ...HOSTILE_JSON),
  fc.json({ maxDepth: 3 })
)
const hostileValue: Arbitrary<Value> = fc.oneof(
  fc.constantFrom(...HOSTILE_JSON).map($raw => ({ $raw })),
  hostileString,
  fc.constantFrom(-1, 0, 1, 99, 100, 1000, 1001, 2 ** 31, 2 ** 53, Number.MAX_VALUE, 0.5)
)

/** Something that an answer showed under one of these names: of the latest, mostly. */
export function seen(names: readonly string[]): Arbitrary<Value> {
  return fc
    .oneof({ weight: 4, arbitrary: fc.nat(5) }, { weight: 1, arbitrary: fc.nat(200) })
    .map(nth => ({ $seen: names, nth }))
}

/** What the schema allows: its bounds and what was seen before rather than anything. */
export function valid(document: ApiDocument, name: string, given: Schema | boolean): Arbitrary<Value> {
  if (typeof given === 'boolean') return hostileValue
  const schema = document.resolve(given)
  const choices = schema.oneOf ?? schema.anyOf
  if (choices !== undefined) return fc.oneof(...choices.map(choice => valid(document, name, choice)))
  if (schema.const !== undefined) return fc.constant(schema.const as Value)
  if (schema.enum !== undefined) return fc.constantFrom(...(schema.enum as Value[]))
  const types = [schema.type ?? 'object'].flat()
  return fc.oneof(...types.map(type => validOf(document, name, schema, type)))
}

function validOf(document: ApiDocument, name: string, schema: Schema, type: string): Arbitrary<Value> {
  switch (type) {
    case 'null':
      return fc.constant(null)
    case 'boolean':
      return fc.boolean()
    case 'integer':
    case 'number':
      return validNumber(name, schema)
    case 'string':
      return validString(name, schema)
    case 'array': {
      const { items = {}, minItems = 0, maxItems = 8 } = schema
      return fc.array(valid(document, name, items), {
        minLength: minItems,
        maxLength: Math.max(minItems, Math.min(maxItems, 8))
      })
    }
    default:
      return validObject(document, schema)
  }
}

function validNumber(name: string, { minimum = 0, maximum = 2 ** 53 - 1, examples = [] }: Schema): Arbitrary<Value> {
  const near = fc.integer({ min: minimum, max: Math.min(maximum, minimum + 20) })
  const made = fc.oneof(
    { weight: 8, arbitrary: near },
    { weight: 1, arbitrary: fc.integer({ min: minimum, max: maximum }) },
    { weight: 1, arbitrary: fc.constantFrom(minimum, maximum, ...(examples as number[])) }
  )
  const shown = SHOWN_AS[name]
  return shown === undefined ? made : fc.oneof({ weight: 3, arbitrary: seen(shown) }, { weight: 1, arbitrary: made })
}

function validString(
  name: string,
  { pattern, minLength = 0, maxLength = 64, examples = [] }: Schema
): Arbitrary<Value> {
  const made = SECRETS.includes(name)
    ? fc.stringMatching(/^[!-~]{8,16}$/).map(text => HUSH + text)
    : pattern !== undefined
      ? fc.stringMatching(new RegExp(pattern), { size: 'small' })
      : fc.string({ minLength, maxLength: Math.min(maxLength, 128), size: 'small' })
  const arbitraries = [{ weight: 2, arbitrary: made as Arbitrary<Value> }]
  if (examples.length > 0) arbitraries.push({ weight: 3, arbitrary: fc.constantFrom(...(examples as string[])) })
  if (!FREE_TEXT.includes(name)) arbitraries.push({ weight: 8, arbitrary: seen(SHOWN_AS[name] ?? []) })
  return fc.oneof(...arbitraries)
}

function validObject(document: ApiDocument, schema: Schema): Arbitrary<Value> {
  const { properties = {}, required = [], additionalProperties, dependentSchemas = {} } = schema
  if (typeof additionalProperties === 'object') {
    // Free members have free names: what they hold is free text, too.
    return fc.dictionary(fc.string({ maxLength: 10 }), valid(document, 'metadata', additionalProperties), {
      maxKeys: 3
    })
  }
  const members = Object.fromEntries(
    Object.entries(properties).map(([member, part]) => [member, valid(document, member, part)])
  )
  const rare = fc.record(members, { requiredKeys: required, noNullPrototype: true }) as Arbitrary<Record<string, Value>>
  return rare.map(value => {
    const forbidden = Object.entries(dependentSchemas)
      .filter(([member]) => member in value)
      .flatMap(([, { properties: others = {} }]) => Object.keys(others).filter(other => others[other] === false))
    return Object.fromEntries(Object.entries(value).filter(([member]) => !forbidden.includes(member)))
  })
}

/** A valid value with one thing wrong, somewhere in it. */
export function nearlyValid(document: ApiDocument, name: string, schema: Schema): Arbitrary<Value> {
  return fc
    .tuple(
      valid(document, name, schema),
      fc.constantFrom('replace', 'replace', 'drop', 'add'),
      fc.nat(30),
      hostileValue,
      hostileString
    )
    .map(([value, how, nth, wrong, member]) => spoil(value, how, nth, wrong, member))
}

function spoil(value: Value, how: string, nth: number, wrong: Value, member: string): Value {
  if (typeof value !== 'object' || value === null || '$seen' in value || '$raw' in value) return wrong
  const entries = Object.entries(value)
  if (how === 'add' && !Array.isArray(value)) return { ...value, [member.replaceAll(HUSH, '') || 'unknown']: wrong }
  if (entries.length === 0) return wrong
  const place = nth % entries.length
  const deeper = nth >= entries.length
  const changed = entries.flatMap(([key, part], i): [string, Value][] => {
    if (i !== place) return [[key, part]]
    if (deeper && typeof part === 'object') return [[key, spoil(part, how, nth - entries.length, wrong, member)]]
    return how === 'drop' ? [] : [[key, wrong]]
  })
  return Array.isArray(value) ? changed.map(([, part]) => part) : Object.fromEntries(changed)
}
