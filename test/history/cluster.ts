import { once } from 'node:events'
import { createServer } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Random } from '../../src/pool/random.ts'
import { Server } from '../crash/server.ts'
import { startRedis } from '../support/redis-server.ts'
import type { Terms } from './history.ts'

export const TERMS: Terms = { leaseMs: 2000, maxHoldMs: 4000, keepAliveMs: 5000 }

/** Below those that outgoing connections use: else one of these might have the port of a node that is to come back. */
const FIRST_PORT = 20_000

/** Nodes in processes of their own over a server that keeps nothing on the disk. All of it ends with `end`. */
export class Cluster {
  kills = 0
  cuts = 0
  readonly ports: number[] = []
  readonly #main: string
  readonly #nodes: Server[] = []
  readonly #closings: (() => unknown)[] = []
  #redis: Awaited<ReturnType<typeof startRedis>> | undefined

  /** `main`: that of the build that is to run. */
  constructor(main: string) {
    this.#main = main
  }

  async start(nodes: number): Promise<void> {
    this.#redis = await startRedis({ teardown: close => void this.#closings.push(close as () => unknown) })
    for (let from = FIRST_PORT + (process.pid % 10_000); this.ports.length < nodes;) {
      const port = await freePort(from)
      this.ports.push(port)
      this.#nodes.push(this.#node(port))
      from = port + 1
    }
    await this.ready()
  }

  /** Resolves when all nodes are. Rejects where one has ended by itself. */
  async ready(): Promise<void> {
    await Promise.all(this.#nodes.map(node => node.ready()))
  }

  /** Kills a node as `kill -9` does, and starts it anew. Resolves when it is ready again. */
  async kill(random: Random): Promise<void> {
    const i = random.below(this.#nodes.length)
    await (this.#nodes[i] as Server).kill()
    this.kills++
    await sleep(random.below(200))
    const node = this.#node(this.ports[i] as number)
    this.#nodes[i] = node
    await node.ready()
  }

  /** Cuts a connection of a node to the server, of those by which it asks or by which it hears. */
  async cut(random: Random): Promise<void> {
    if (this.#redis === undefined) return
    const { client } = this.#redis
    const own = Number(await client.client('ID'))
    const list = String(await client.client('LIST'))
    const ids = [...list.matchAll(/^id=(\d+)/gm)].map(([, id]) => Number(id)).filter(id => id !== own)
    const id = ids[random.below(Math.max(1, ids.length))]
    if (id !== undefined) this.cuts += Number(await client.client('KILL', 'ID', id))
  }

  /** Whatever they do. */
  endNodes(): void {
    for (const node of this.#nodes) node.end()
  }

  async end(): Promise<void> {
    this.endNodes()
    for (const close of this.#closings) await close()
  }

  #node(port: number): Server {
    return new Server({ KEYPOOL_REDIS_URL: this.#redis?.url ?? '' }, port, { main: this.#main })
  }
}

/** The first from this one on that nobody listens on. */
async function freePort(from: number): Promise<number> {
  for (let port = from; ; port++) {
    const server = createServer().listen(port, '127.0.0.1')
    const isFree = await once(server, 'listening').then(
      () => true,
      () => false
    )
    server.close()
    if (isFree) return port
  }
}
