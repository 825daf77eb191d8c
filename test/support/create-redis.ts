import type { Test } from 'tap'
import { Connection, type Server, Unavailable } from '../../src/redis/connection.ts'
import { RedisEngine } from '../../src/redis/engine.ts'
import { parseRedisUrl } from '../../src/redis/redis-url.ts'
import { granted } from './create-engine.ts'
import { seededRandom } from './seeded-random.ts'
import { SettlingClock } from './settling-clock.ts'

export interface CreateRedisOptions {
  clock?: SettlingClock
  /** The node hears of nothing that others do. */
  deafen?: boolean
  /** The server's own time is asked, not the test's. */
  serverTime?: boolean
  /** Of the first call of this verb the answer is lost, and with it the connection. */
  losing?: string
  /** What the service needs besides. */
  prepare?: (engine: RedisEngine) => Promise<void>
}

let nodes = 0

/** A node over a server, whose time is the test's own. */
export async function createRedis(
  t: Pick<Test, 'teardown' | 'error'>,
  url: string,
  { clock = new SettlingClock(), deafen = false, serverTime = false, losing, prepare }: CreateRedisOptions = {}
) {
  const address = parseRedisUrl(url)
  if (address === undefined) throw new Error('no address of a server')
  const told: string[] = []
  const tell = (_members: object, message: string): void => void told.push(message)
  let link: Link | undefined
  const engine = new RedisEngine({
    clock,
    ...(!serverTime && { time: clock.now }),
    random: seededRandom(++nodes),
    log: { info: tell, warn: tell, error: tell },
    onFault: error => t.error(error),
    connect: ({ heard, ...rest }) =>
      (link = new Link(new Connection({ address, heard: deafen ? () => undefined : heard, ...rest }), rest.changed))
  })
  t.teardown(() => engine.close())
  const server = link as Link
  server.lost = losing
  await engine.start(async () => prepare?.(engine))

  return {
    engine,
    clock,
    told,
    /** Until nothing is asked of the server any more. */
    async settled(): Promise<void> {
      for (let quiet = 0; quiet < 5; quiet = server.running === 0 ? quiet + 1 : 0) await clock.settled()
    },
    /** From now on nothing reaches the server. */
    cut: () => server.cut(),
    /** The next answer of this verb is lost on its way: nobody knows whether it was carried out. */
    lose(verb: string): void {
      server.lost = verb
    },
    /** The most calls that were under way at once. */
    peak: () => server.peak,
    /** Called with each answer before the engine sees it: what it throws is thrown to the engine. */
    onAnswer(look: (verb: string) => void): void {
      server.look = look
    }
  }
}

/** Two nodes over an emptied server, that share a time. `deafen`: the second hears of nothing that the first does. */
export async function createTwo(
  t: Pick<Test, 'teardown' | 'error'>,
  { url, client }: { url: string; client: { flushall(): Promise<unknown> } },
  { deafen = false } = {}
) {
  await client.flushall()
  const clock = new SettlingClock()
  const [a, b] = [await createRedis(t, url, { clock }), await createRedis(t, url, { clock, deafen })]
  return { a, b, clock, counts: async () => (await granted(a.engine.pool('default'))).counts }
}

/** A connection that can be cut, and tells how many calls are under way. */
class Link implements Server {
  readonly #server: Server
  readonly #changed: (trouble: string | undefined) => void
  #isCut = false
  running = 0
  peak = 0
  lost: string | undefined
  #isTroubled = false
  look: (verb: string) => void = () => undefined

  constructor(server: Server, changed: (trouble: string | undefined) => void) {
    this.#server = server
    this.#changed = changed
  }

  get trouble(): string | undefined {
    return this.#isCut ? 'cut by the test' : this.#server.trouble
  }

  open(): Promise<void> {
    return this.#server.open()
  }

  run(...call: Parameters<Server['run']>): ReturnType<Server['run']> {
    return this.#told(call[0], () => this.#server.run(...call))
  }

  fields(key: string): ReturnType<Server['fields']> {
    return this.#told('fields', () => this.#server.fields(key))
  }

  info(): ReturnType<Server['info']> {
    return this.#told('info', () => this.#server.info())
  }

  cut(): void {
    this.#isCut = true
    this.#changed('cut by the test')
  }

  close(): Promise<void> {
    return this.#server.close()
  }

  async #told<T>(verb: string, ask: () => Promise<T>): Promise<T> {
    if (this.#isCut) throw new Unavailable('cut by the test', false)
    this.peak = Math.max(this.peak, ++this.running)
    try {
      const answer = await ask()
      if (this.lost === verb) {
        this.lost = undefined
        this.#tell('lost by the test')
        throw new Unavailable('lost by the test', true)
      }
      if (this.#isTroubled) this.#tell(undefined)
      this.look(verb)
      return answer
    } finally {
      this.running--
    }
  }
  #tell(trouble: string | undefined): void {
    this.#isTroubled = trouble !== undefined
    this.#changed(trouble)
  }
}
