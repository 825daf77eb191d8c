import type { AccessConfig } from './access/access.ts'
import { DEFAULT_TOKENS, type TokenShape } from './dialects/tokenapi.ts'
import { isAlphabet, MAX_GENERATED_LENGTH } from './pool/policy.ts'
import { parseRedisUrl, type RedisAddress } from './redis/redis-url.ts'

/** The old wire formats that can be served besides. */
export type Dialect = 'random_api_key' | 'tokenapi'

export interface Config {
  host: string
  port: number
  /** Where the durable engine keeps its data. */
  dataDir: string | undefined
  /** The server that nodes share. The engine is the memory's where both are undefined. */
  redis: RedisAddress | undefined
  logLevel: string
  dialects: Dialect[]
  tokens: TokenShape
  /** For how long requests are still served after a signal to stop, in milliseconds. */
  drainMs: number
  access: AccessConfig
  /** Whether nobody but this machine is meant to reach the server. */
  onlyThisMachine: boolean
  /** Requests per second and caller; 0 for as many as there are. */
  rateLimit: number
}

const LOG_LEVELS = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent']
const DIALECTS: readonly Dialect[] = ['random_api_key', 'tokenapi']
const MAX_DRAIN_MS = 600_000
/** The descriptor of the standard output. */
const STDOUT = 1
const MAX_RATE_LIMIT = 1_000_000
const LOOPBACK = /^(localhost|127(\.\d{1,3}){3}|::1)$/

/** Thrown with a line for each variable that is wrong or unknown. */
export class WrongConfiguration extends Error {
  constructor(wrong: string[]) {
    super(`wrong configuration:\n${wrong.map(line => `  ${line}`).join('\n')}`)
  }
}

/** Reads the variables whose names begin with KEYPOOL_. */
export function readConfig(environment: Readonly<Record<string, string | undefined>>): Config {
  const wrong: string[] = []
  const read = new Set<string>()
  const text = (name: string, standard: string): string => {
    read.add(name)
    return environment[name] ?? standard
  }
  const integer = (name: string, standard: number, min: number, max: number): number => {
    const given = text(name, String(standard))
    const value = /^\d{1,10}$/.test(given) ? Number(given) : NaN
    if (!(value >= min && value <= max)) wrong.push(`${name} must be a whole number of ${min} … ${max}`)
    return value
  }

  const host = text('KEYPOOL_HOST', '127.0.0.1')
  const port = integer('KEYPOOL_PORT', 8080, 0, 65_535)
  const dataDir = text('KEYPOOL_DATA_DIR', '') || undefined
  // Whatever is wrong with it, it may hold a password: it is told nowhere.
  const redisUrl = text('KEYPOOL_REDIS_URL', '')
  const redis = parseRedisUrl(redisUrl)
  const logLevel = text('KEYPOOL_LOG_LEVEL', 'info')
  const dialects = text('KEYPOOL_DIALECTS', DIALECTS.join(','))
    .split(',')
    .map(name => name.trim())
    .filter(name => name !== '')
  const tokens = {
    alphabet: text('KEYPOOL_TOKENAPI_ALPHABET', DEFAULT_TOKENS.alphabet),
    length: integer('KEYPOOL_TOKENAPI_LENGTH', DEFAULT_TOKENS.length, 1, MAX_GENERATED_LENGTH)
  }
  const drainMs = integer('KEYPOOL_DRAIN_MS', 0, 0, MAX_DRAIN_MS)
  const rateLimit = integer('KEYPOOL_RATE_LIMIT', 0, 0, MAX_RATE_LIMIT)
  const open = text('KEYPOOL_OPEN', '0')
  const path = (name: string): string | undefined => {
    read.add(name)
    if (environment[name] === '') wrong.push(`${name} must be the path of a file`)
    return environment[name]
  }
  const authFile = path('KEYPOOL_AUTH_FILE')
  const audit = path('KEYPOOL_AUDIT')
  const [cert, key] = [path('KEYPOOL_TLS_CERT'), path('KEYPOOL_TLS_KEY')]
  const tls = cert === undefined || key === undefined ? undefined : { cert, key }

  if (open !== '0' && open !== '1') wrong.push('KEYPOOL_OPEN must be 0 or 1')
  if (redisUrl !== '' && redis === undefined) {
    wrong.push(
      'KEYPOOL_REDIS_URL must be redis://host:port/db, redis+cluster://host:port,host:port or redis+sentinel://host:port,host:port/name, with user:password@ before the hosts where needed, and rediss for redis where TLS is spoken'
    )
  }
  if (redisUrl !== '' && dataDir !== undefined) {
    wrong.push('KEYPOOL_REDIS_URL and KEYPOOL_DATA_DIR exclude each other: the keys are kept in one place')
  }
  if (host === '') wrong.push('KEYPOOL_HOST must be an address or the name of a host')
  else if (authFile === undefined && open === '0' && !LOOPBACK.test(host)) {
    wrong.push(
      'KEYPOOL_HOST is no loopback address, and without KEYPOOL_AUTH_FILE everybody who reaches the server may do everything: set KEYPOOL_OPEN=1 if that is meant'
    )
  }
  if (!LOG_LEVELS.includes(logLevel)) wrong.push(`KEYPOOL_LOG_LEVEL must be one of ${LOG_LEVELS.join(', ')}`)
  if (!dialects.every(isDialect)) wrong.push(`KEYPOOL_DIALECTS must be a list of ${DIALECTS.join(',')}, or empty`)
  if (!isAlphabet(tokens.alphabet)) {
    wrong.push('KEYPOOL_TOKENAPI_ALPHABET must be 2 … 94 distinct visible ASCII characters')
  }
  if ((cert === undefined) !== (key === undefined)) {
    wrong.push(`${cert === undefined ? 'KEYPOOL_TLS_CERT' : 'KEYPOOL_TLS_KEY'} is missing: a certificate needs its key`)
  }
  for (const name of Object.keys(environment)) {
    if (name.startsWith('KEYPOOL_') && !read.has(name)) wrong.push(`${name} is no variable of this version`)
  }
  if (wrong.length > 0) throw new WrongConfiguration(wrong)
  return {
    host,
    port,
    dataDir,
    redis,
    logLevel,
    dialects: dialects.filter(isDialect),
    tokens,
    drainMs,
    rateLimit,
    access: { authFile, audit: audit === '-' || audit === 'stdout' ? STDOUT : audit, tls },
    onlyThisMachine: authFile === undefined && open === '0'
  }
}

function isDialect(name: string): name is Dialect {
  return (DIALECTS as readonly string[]).includes(name)
}
