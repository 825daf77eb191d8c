import t from 'tap'
import { parseRedisUrl } from '../src/redis/redis-url.ts'
import { readConfig, WrongConfiguration } from '../src/config.ts'

const LETTERS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'
const OPEN = { KEYPOOL_OPEN: '1' }

type Environment = Parameters<typeof readConfig>[0]

/** The lines of the refusal, one for each thing that is wrong. */
function wrongIn(environment: Environment): string[] {
  try {
    readConfig(environment)
  } catch (error) {
    if (!(error instanceof WrongConfiguration)) throw error
    const [first, ...lines] = error.message.split('\n')
    if (first !== 'wrong configuration:') throw error
    return lines.map(line => line.trim())
  }
  return []
}

t.test('without a variable everything has its default', async t => {
  const defaults = {
    host: '127.0.0.1',
    port: 8080,
    dataDir: undefined,
    redis: undefined,
    logLevel: 'info',
    dialects: ['random_api_key', 'tokenapi'],
    tokens: { alphabet: LETTERS, length: 4 },
    drainMs: 0,
    access: { authFile: undefined, audit: undefined, tls: undefined },
    onlyThisMachine: true,
    rateLimit: 0
  }
  t.strictSame(readConfig({}), defaults)
  t.strictSame(readConfig({ PATH: '/bin', keypool_port: '1', KEYPOOLPORT: '2', KEYPOOL: '3' }), defaults)
  t.strictSame(readConfig({ KEYPOOL_PORT: undefined }), defaults)
})

t.test('each variable is read', async t => {
  const { access } = readConfig({})
  const RIGHT: [environment: Environment, part: object][] = [
    [{ KEYPOOL_HOST: '127.1.2.3' }, { host: '127.1.2.3' }],
    [{ KEYPOOL_DATA_DIR: '/var/lib/keypool' }, { dataDir: '/var/lib/keypool' }],
    [{ KEYPOOL_DATA_DIR: '' }, { dataDir: undefined }],
    [{ KEYPOOL_REDIS_URL: '' }, { redis: undefined }],
    [{ KEYPOOL_REDIS_URL: 'redis://h:7000' }, { redis: parseRedisUrl('redis://h:7000') }],
    [{ KEYPOOL_PORT: '0' }, { port: 0 }],
    [{ KEYPOOL_PORT: '65535' }, { port: 65_535 }],
    ...['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'].map((level): [Environment, object] => [
      { KEYPOOL_LOG_LEVEL: level },
      { logLevel: level }
    ]),
    [{ KEYPOOL_DIALECTS: '' }, { dialects: [] }],
    [{ KEYPOOL_DIALECTS: ' , ' }, { dialects: [] }],
    [{ KEYPOOL_DIALECTS: 'tokenapi' }, { dialects: ['tokenapi'] }],
    [{ KEYPOOL_DIALECTS: ' tokenapi , random_api_key,' }, { dialects: ['tokenapi', 'random_api_key'] }],
    [{ KEYPOOL_TOKENAPI_ALPHABET: 'ab' }, { tokens: { alphabet: 'ab', length: 4 } }],
    [{ KEYPOOL_TOKENAPI_ALPHABET: '!~' }, { tokens: { alphabet: '!~', length: 4 } }],
    [{ KEYPOOL_TOKENAPI_LENGTH: '1' }, { tokens: { alphabet: LETTERS, length: 1 } }],
    [{ KEYPOOL_TOKENAPI_LENGTH: '128' }, { tokens: { alphabet: LETTERS, length: 128 } }],
    [{ KEYPOOL_DRAIN_MS: '600000' }, { drainMs: 600_000 }],
    [{ KEYPOOL_OPEN: '1' }, { onlyThisMachine: false }],
    [{ KEYPOOL_AUTH_FILE: 'a' }, { access: { ...access, authFile: 'a' }, onlyThisMachine: false }],
    [{ KEYPOOL_AUDIT: 'a' }, { access: { ...access, audit: 'a' } }],
    [{ KEYPOOL_AUDIT: '-' }, { access: { ...access, audit: 1 } }],
    [{ KEYPOOL_AUDIT: 'stdout' }, { access: { ...access, audit: 1 } }],
    [{ KEYPOOL_TLS_CERT: 'c', KEYPOOL_TLS_KEY: 'k' }, { access: { ...access, tls: { cert: 'c', key: 'k' } } }],
    [{ KEYPOOL_RATE_LIMIT: '1000000' }, { rateLimit: 1_000_000 }]
  ]
  for (const [environment, part] of RIGHT) {
    t.strictSame(readConfig(environment), { ...readConfig({}), ...part }, JSON.stringify(environment))
  }
})

t.test('a certificate and its key come together', async t => {
  t.strictSame(wrongIn({ KEYPOOL_TLS_CERT: 'c' }), ['KEYPOOL_TLS_KEY is missing: a certificate needs its key'])
  t.strictSame(wrongIn({ KEYPOOL_TLS_KEY: 'k' }), ['KEYPOOL_TLS_CERT is missing: a certificate needs its key'])
})

t.test('the address of a server is told by nobody, however wrong, and excludes a directory', async t => {
  const [line, ...others] = wrongIn({ KEYPOOL_REDIS_URL: 'redis://:secret@h:0' })
  t.match(line, /^KEYPOOL_REDIS_URL must be redis:/)
  t.notMatch(line, /secret/)
  t.strictSame(others, [])
  t.strictSame(wrongIn({ KEYPOOL_REDIS_URL: 'redis://h', KEYPOOL_DATA_DIR: 'd' }), [
    'KEYPOOL_REDIS_URL and KEYPOOL_DATA_DIR exclude each other: the keys are kept in one place'
  ])
})

t.test('with tokens the server may listen anywhere', async t => {
  t.equal(readConfig({ KEYPOOL_HOST: '0.0.0.0', KEYPOOL_AUTH_FILE: 'a' }).host, '0.0.0.0')
})

t.test('each wrong value is named, with what it should be', async t => {
  const PORT = 'KEYPOOL_PORT must be a whole number of 0 … 65535'
  const LEVEL = 'KEYPOOL_LOG_LEVEL must be one of fatal, error, warn, info, debug, trace, silent'
  const DIALECTS = 'KEYPOOL_DIALECTS must be a list of random_api_key,tokenapi, or empty'
  const ALPHABET = 'KEYPOOL_TOKENAPI_ALPHABET must be 2 … 94 distinct visible ASCII characters'
  const LENGTH = 'KEYPOOL_TOKENAPI_LENGTH must be a whole number of 1 … 128'
  const DRAIN = 'KEYPOOL_DRAIN_MS must be a whole number of 0 … 600000'
  const RATE = 'KEYPOOL_RATE_LIMIT must be a whole number of 0 … 1000000'
  const WRONG: [variable: string, values: string[], line: string][] = [
    ['KEYPOOL_PORT', ['', ' ', '-1', '65536', '80.5', '1e3', '0x50', ' 80', '80 ', 'http', '99999999999'], PORT],
    ['KEYPOOL_LOG_LEVEL', ['', 'INFO', 'verbose', 'info '], LEVEL],
    ['KEYPOOL_DIALECTS', ['x', 'tokenapi,x', 'tokenapi random_api_key', 'TOKENAPI', 'random-api-key'], DIALECTS],
    ['KEYPOOL_TOKENAPI_ALPHABET', ['', 'a', 'aa', 'aba', 'a b', 'ключ', `${LETTERS}a`, 'a\nb'], ALPHABET],
    ['KEYPOOL_TOKENAPI_LENGTH', ['', '0', '129', '-4', '4.0', 'four'], LENGTH],
    ['KEYPOOL_DRAIN_MS', ['', '-1', '600001', '1s'], DRAIN],
    ['KEYPOOL_RATE_LIMIT', ['', '-1', '0.5', '1000001', '10/s', 'off'], RATE],
    ['KEYPOOL_OPEN', ['', 'yes', 'true', '2', ' 1'], 'KEYPOOL_OPEN must be 0 or 1'],
    ['KEYPOOL_AUTH_FILE', [''], 'KEYPOOL_AUTH_FILE must be the path of a file'],
    ['KEYPOOL_AUDIT', [''], 'KEYPOOL_AUDIT must be the path of a file'],
    ['KEYPOOL_HOST', [''], 'KEYPOOL_HOST must be an address or the name of a host']
  ]
  for (const [variable, values, line] of WRONG) {
    for (const value of values) t.strictSame(wrongIn({ [variable]: value }), [line], `${variable}=${value}`)
  }
})

t.test('an unknown name that begins with KEYPOOL_ is wrong, whatever its value', async t => {
  for (const name of ['KEYPOOL_', 'KEYPOOL_PROT', 'KEYPOOL_port', 'KEYPOOL_OTEL_URL', 'KEYPOOL_TOKENAPI']) {
    t.strictSame(wrongIn({ [name]: '' }), [`${name} is no variable of this version`])
  }
})

t.test('everything that is wrong is named at once', async t => {
  const environment = {
    KEYPOOL_HOST: 'example.org',
    KEYPOOL_PORT: 'http',
    KEYPOOL_LOG_LEVEL: 'loud',
    KEYPOOL_DIALECTS: 'x',
    KEYPOOL_TOKENAPI_ALPHABET: 'a',
    KEYPOOL_TOKENAPI_LENGTH: '0',
    KEYPOOL_DRAIN_MS: 'x',
    KEYPOOL_COLOUR: 'red',
    KEYPOOL_SIZE: 'xl'
  }
  const lines = wrongIn(environment)
  t.strictSame(lines.map(line => line.split(' ', 1)[0]).sort(), Object.keys(environment).sort())
  t.strictSame(
    wrongIn({ ...environment, KEYPOOL_OPEN: 'x' })
      .map(line => line.split(' ', 1)[0])
      .sort(),
    // Whether the host may be another is not known then.
    [...Object.keys(environment).filter(name => name !== 'KEYPOOL_HOST'), 'KEYPOOL_OPEN'].sort()
  )
})

t.test('the server listens on loopback, unless it is meant to be open', async t => {
  for (const host of ['127.0.0.1', '127.0.0.2', '127.255.255.254', '::1', 'localhost']) {
    t.equal(readConfig({ KEYPOOL_HOST: host }).host, host)
    t.equal(readConfig({ KEYPOOL_HOST: host, KEYPOOL_OPEN: '0' }).host, host)
    t.equal(readConfig({ KEYPOOL_HOST: host, ...OPEN }).host, host)
  }
  const elsewhere = ['0.0.0.0', '::', '10.0.0.1', '::ffff:127.0.0.1', '128.0.0.1', 'localhost.example.org']
  const lookalikes = ['127.0.0.1.example.org', 'x127.0.0.1', '127.0.0', '127.0.0.1 ', 'localhost\n', '::11']
  for (const host of [...elsewhere, ...lookalikes]) {
    t.match(wrongIn({ KEYPOOL_HOST: host }), [/^KEYPOOL_HOST is no loopback address.*: set KEYPOOL_OPEN=1/], host)
    t.equal(readConfig({ KEYPOOL_HOST: host, ...OPEN }).host, host)
  }
})

t.test('the message shows no value: it may have been meant for another variable', async t => {
  const secret = 'Q9xQ9xQ9xQ9xQ9xQ9xQ9'
  const names = [
    'HOST',
    'PORT',
    'LOG_LEVEL',
    'DIALECTS',
    'TOKENAPI_ALPHABET',
    'TOKENAPI_LENGTH',
    'DRAIN_MS',
    'RATE_LIMIT',
    'OPEN',
    'X'
  ]
  const lines = wrongIn(Object.fromEntries(names.map(name => [`KEYPOOL_${name}`, secret])))
  t.equal(lines.length, names.length - 1)
  t.notMatch(lines.join('\n'), secret)
})
