import { POOL_NAME_PATTERN } from '../engine.ts'
import { type Bearer, type Role, ROLES } from './bearer.ts'
import { type Token, TokenList } from './token-list.ts'

/** No space: names are put before other words, separated by one. */
const NAME = /^[!-~]{1,64}$/
const SHA256 = /^[0-9a-f]{64}$/i
const POOL_NAME = new RegExp(POOL_NAME_PATTERN)
/** A member that may be shown: too short for a hash. */
const PLAIN = /^\w{1,32}$/

/** Each member of an entry, with what is wrong with a value. */
const MEMBERS: Readonly<Record<string, (value: unknown) => string | undefined>> = {
  name: value => (matches(NAME, value) ? undefined : 'must be 1 … 64 visible ASCII characters'),
  sha256: value => (matches(SHA256, value) ? undefined : 'must be the SHA-256 of the token, as 64 hexadecimal digits'),
  role: value => ((ROLES as readonly unknown[]).includes(value) ? undefined : `must be one of ${ROLES.join(', ')}`),
  pools: value => {
    if (value === '*') return undefined
    if (!Array.isArray(value)) return 'must be a list of names of pools, or "*"'
    const bad = value.flatMap((pool: unknown, i) => (matches(POOL_NAME, pool) ? [] : [`[${i}]`]))
    return bad.length === 0 ? undefined : `must have names of pools: what stands at ${bad.join(', ')} is none`
  }
}

/** Thrown with a line for each thing that is wrong: by index and name, never with a hash or another value. */
export class WrongTokens extends Error {
  constructor(wrong: readonly string[]) {
    super(wrong.join('\n'))
  }
}

/** Reads a JSON list of `{name, sha256, role, pools}`. An empty one is right: then nobody has a token. */
export function readTokens(text: string): TokenList {
  const entries = parse(text)
  if (!Array.isArray(entries)) throw new WrongTokens(['must be a JSON list'])
  const wrong: string[] = []
  const seen = { name: new Map<string, number>(), sha256: new Map<string, number>() }
  const tokens: Token[] = []
  for (const [i, entry] of (entries as unknown[]).entries()) {
    if (!isObject(entry)) {
      wrong.push(`[${i}] must be an object`)
      continue
    }
    const lines = wrongIn(entry)
    for (const member of ['name', 'sha256'] as const) {
      const value = member === 'name' ? entry['name'] : lowerCase(entry['sha256'])
      if (typeof value !== 'string') continue
      const first = seen[member].get(value)
      if (first === undefined) seen[member].set(value, i)
      else lines.push(`has the ${member} of [${first}]`)
    }
    const { name } = entry
    wrong.push(...lines.map(line => `[${i}]${matches(NAME, name) ? ` "${name}"` : ''} ${line}`))
    if (lines.length === 0) tokens.push(tokenOf(entry))
  }
  if (wrong.length > 0) throw new WrongTokens(wrong)
  return new TokenList(tokens)
}

function wrongIn(entry: Record<string, unknown>): string[] {
  const lines = Object.entries(MEMBERS).flatMap(([member, wrongWith]) => {
    const wrong = Object.hasOwn(entry, member) ? wrongWith(entry[member]) : 'is missing'
    return wrong === undefined ? [] : [`${member} ${wrong}`]
  })
  for (const member of Object.keys(entry)) {
    if (Object.hasOwn(MEMBERS, member)) continue
    lines.push(
      `has ${PLAIN.test(member) ? `"${member}"` : 'a member'}, which is none of ${Object.keys(MEMBERS).join(', ')}`
    )
  }
  return lines
}

/** Of an entry that has passed. */
function tokenOf(entry: Record<string, unknown>): Token {
  const { name, sha256, role, pools } = entry as { name: string; sha256: string; role: Role; pools: '*' | string[] }
  const bearer: Bearer = { name, role, pools: pools === '*' ? pools : new Set(pools) }
  return { bearer, sha256: sha256.toLowerCase() }
}

/** V8's own text of an error quotes what it met, which may be a hash: only the place is told. */
function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (error) {
    const position = / at position (\d+)/.exec((error as SyntaxError).message)?.[1]
    const lines = text.slice(0, Number(position ?? text.length)).split('\n')
    throw new WrongTokens([`is not JSON${position === undefined ? '' : `, from line ${lines.length} on`}`])
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function matches(pattern: RegExp, value: unknown): value is string {
  return typeof value === 'string' && pattern.test(value)
}

function lowerCase(value: unknown): unknown {
  return typeof value === 'string' ? value.toLowerCase() : value
}
