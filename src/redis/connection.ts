import { Cluster, Redis } from 'ioredis'
import type { RedisAddress } from './redis-url.ts'
import type { Reply } from './replies.ts'
import { scriptOf, type Verb, VERBS } from './scripts.ts'

/** Nobody waits longer for an answer of the server. */
const ANSWER_MS = 5000
const CONNECT_MS = 5000
/** How long until a lost connection is tried again: longer each time, up to the last. */
const RETRY_MS = [50, 100, 200, 500, 1000]
/** How long until a client that has given up is told to go on. */
const ANEW_MS = 200

/** The server can't be reached, or can't do what it is asked to at present. */
export class Unavailable extends Error {
  /** The call was under way: it may have been carried out. */
  readonly unsure: boolean

  constructor(message: string, unsure: boolean) {
    super(message)
    this.unsure = unsure
  }
}

/** A server, or several, that run scripts: Redis or Valkey. */
export interface Server {
  /** Resolves once the server has been reached. */
  open(): Promise<void>
  /** Rejects with Unavailable, or with the error of a script that is wrong. */
  run(verb: Verb, key: string, ...rest: (string | number)[]): Promise<Reply>
  /** The fields of a hash. */
  fields(key: string): Promise<Record<string, string>>
  /** What the server tells of itself, of a cluster one of its servers: the text of INFO. */
  info(): Promise<string>
  /** Why nothing can be asked of it at present, or undefined. */
  readonly trouble: string | undefined
  close(): Promise<void>
}

export interface ServerOptions {
  address: RedisAddress
  /** Called with each message on the channel. */
  channel: string
  heard: (message: string) => void
  /** The state of the connection has changed. */
  changed: (trouble: string | undefined) => void
}

type Client = Redis | Cluster

/** What a server says where it can't do something at present, by the first word of its answer. */
const TROUBLES =
  /^(OOM|READONLY|LOADING|MISCONF|CLUSTERDOWN|TRYAGAIN|MASTERDOWN|NOREPLICAS|BUSY|NOAUTH|WRONGPASS|NOPERM) /

/** What the client says where it has sent nothing. */
const NOT_SENT = /enableOfflineQueue/

/**
 * A connection to the server and one to hear by. Calls of the same turn of the event loop share a packet. A lost
 * connection is made anew; a call that was under way is never sent twice, as it may have been done.
 */
export class Connection implements Server {
  readonly #client: Client
  readonly #ear: Client
  readonly #options: ServerOptions
  #trouble: string | undefined = 'the connection is not made yet'
  #isClosed = false

  constructor(options: ServerOptions) {
    this.#options = options
    const scripts = Object.fromEntries(VERBS.map(verb => [nameOf(verb), { lua: scriptOf(verb), numberOfKeys: 1 }]))
    this.#client = connect(options.address, { scripts, enableAutoPipelining: true })
    this.#ear = connect(options.address, {})
    this.#client.on('ready', () => this.#change(undefined))
    for (const event of ['close', 'end']) this.#client.on(event, () => this.#change('the connection is lost'))
    // What an attempt to connect met says more than that.
    this.#client.on('error', (error: Error) => this.#trouble !== undefined && this.#change(error.message))
    // The client gives up for good where Sentinel tells of a failover while it is being asked for the master.
    for (const client of [this.#client, this.#ear]) client.on('end', () => this.#connectAnew(client))
    this.#ear.on('error', () => undefined)
    this.#ear.on('message', (_channel: string, message: string) => options.heard(message))
  }

  async open(): Promise<void> {
    const isReady = new Promise<void>(resolve => this.#client.once('ready', resolve))
    // What the first attempt meets is told in #change; it is tried again.
    this.#client.connect().catch(() => undefined)
    this.#ear.on('ready', () => void this.#ear.subscribe(this.#options.channel).catch(() => undefined))
    this.#ear.connect().catch(() => undefined)
    await isReady
  }

  get trouble(): string | undefined {
    return this.#trouble
  }

  async run(verb: Verb, key: string, ...rest: (string | number)[]): Promise<Reply> {
    const commands = this.#client as unknown as Record<string, (...args: (string | number)[]) => Promise<Reply>>
    const command = commands[nameOf(verb)] as (typeof commands)['']
    const reply = await this.#told(command.call(this.#client, key, ...rest))
    if (this.#trouble !== undefined) this.#change(undefined)
    return reply
  }

  async fields(key: string): Promise<Record<string, string>> {
    return this.#told(this.#client.hgetall(key))
  }

  async info(): Promise<string> {
    return this.#told(this.#client.info())
  }

  async close(): Promise<void> {
    this.#isClosed = true
    this.#client.disconnect()
    this.#ear.disconnect()
  }

  async #told<T>(answer: Promise<T>): Promise<T> {
    try {
      return await answer
    } catch (error) {
      const { name, message } = error as Error
      // The client's own error holds all that was sent, with keys: it must not get into a log.
      if (name === 'ReplyError' && !TROUBLES.test(message)) throw new Error(`the Redis server answers: ${message}`)
      const unsure = name !== 'ReplyError' && !NOT_SENT.test(message)
      // Also where the connection stands, and the server is silent, or can't write. Each call whose outcome is unknown is
      // told, as it may have left a waiter behind.
      if (this.#trouble === undefined || unsure) this.#change(message)
      throw new Unavailable(message, unsure)
    }
  }

  #connectAnew(client: Client): void {
    setTimeout(() => {
      // What it meets is told in #change.
      if (!this.#isClosed) client.connect().catch(() => undefined)
    }, ANEW_MS).unref()
  }

  #change(trouble: string | undefined): void {
    this.#trouble = trouble
    this.#options.changed(trouble)
  }
}

function nameOf(verb: Verb): string {
  return `keypool:${verb}`
}

interface Own {
  scripts?: Record<string, { lua: string; numberOfKeys: number }>
  enableAutoPipelining?: boolean
}

/** No queue in front of a lost connection, and nothing is sent twice: callers are told, and decide. */
function connect(address: RedisAddress, own: Own): Client {
  const { protocol, hosts, username, password, name, db } = address
  const again = (times: number): number => RETRY_MS[Math.min(times, RETRY_MS.length) - 1] as number
  const common = {
    username,
    password,
    connectTimeout: CONNECT_MS,
    commandTimeout: ANSWER_MS,
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: 0,
    ...(protocol.startsWith('rediss') && { tls: {} })
  }
  if (protocol.endsWith('+cluster:')) {
    return new Cluster(hosts, {
      ...own,
      lazyConnect: true,
      enableOfflineQueue: false,
      clusterRetryStrategy: again,
      retryDelayOnFailover: 0,
      retryDelayOnClusterDown: 0,
      redisOptions: common
    })
  }
  const options = { ...common, ...own, db, lazyConnect: true, enableOfflineQueue: false, retryStrategy: again }
  if (protocol.endsWith('+sentinel:')) {
    return new Redis({
      ...options,
      sentinels: hosts,
      name,
      sentinelRetryStrategy: again,
      failoverDetector: true,
      // The master has become a replica: connect to whichever is the master now.
      reconnectOnError: error => error.message.startsWith('READONLY')
    })
  }
  return new Redis({ ...options, ...(hosts[0] as (typeof hosts)[0]) })
}
