/** Where the server is, and how to get in. */
export interface RedisAddress {
  protocol: string
  hosts: { host: string; port: number }[]
  username: string | undefined
  password: string | undefined
  /** The name that Sentinels know the master by. */
  name: string | undefined
  db: number
}

const URL_PATTERN = /^(rediss?(?:\+(?:cluster|sentinel))?:)\/\/(?:([^:@/]*)(?::([^@/]*))?@)?([^@/?#]+)(?:\/([^/?#]*))?$/
const HOST_PATTERN = /^(\[[0-9a-fA-F:.]+\]|[^:[\]]+)(?::(\d{1,5}))?$/

/**
 * The parts of `redis[s]://[user[:password]@]host[:port][/db]`, of `redis[s]+cluster://…@host:port,host:port` or of
 * `redis[s]+sentinel://…@host:port,host:port/name`, user and password percent-encoded; undefined for any other string.
 */
export function parseRedisUrl(url: string): RedisAddress | undefined {
  const parts = URL_PATTERN.exec(url)
  if (parts === null) return undefined
  const [, protocol = '', user, secret, list = '', path = ''] = parts
  const isSentinel = protocol.endsWith('+sentinel:')
  const hosts = list.split(',').map(text => hostOf(text, isSentinel ? 26_379 : 6379))
  if (hosts.includes(undefined) || (hosts.length > 1 && !protocol.includes('+'))) return undefined
  const isNumbered = /^\d{0,4}$/.test(path)
  if (isSentinel ? path === '' : !isNumbered || (protocol.includes('+') && path !== '')) return undefined
  try {
    return {
      protocol,
      hosts: hosts.filter(host => host !== undefined),
      username: user ? decodeURIComponent(user) : undefined,
      password: secret ? decodeURIComponent(secret) : undefined,
      name: isSentinel ? path : undefined,
      db: isSentinel ? 0 : Number(path)
    }
  } catch {
    // A percent sign that begins no escape.
    return undefined
  }
}

function hostOf(text: string, standard: number): { host: string; port: number } | undefined {
  const parts = HOST_PATTERN.exec(text)
  const port = Number(parts?.[2] ?? standard)
  return parts === null || port === 0 || port > 65_535
    ? undefined
    : { host: (parts[1] as string).replace(/^\[|\]$/g, ''), port }
}
