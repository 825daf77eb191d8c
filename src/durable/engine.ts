import { join } from 'node:path'
import { type Clock, laterBy } from '../clock.ts'
import type { Answer, Anytime, Engine } from '../engine.ts'
import type { Log } from '../log.ts'
import type { JournaledPool } from '../memory/engine-journal.ts'
import { MemoryEngine } from '../memory/engine.ts'
import type { Random } from '../pool/key-pool.ts'
import { Heartbeat } from './heartbeat.ts'
import type { Image } from './image.ts'
import { ALIVE_FILE, FILE } from './layout.ts'
import { Recovery } from './recovery.ts'
import type { Head, RowStore } from './row-store.ts'
import { ThreadedStore } from './threaded-store.ts'
import { Writer } from './writer.ts'

const PROGRESS_MS = 1000
/** From when on it is told that the engine's time is ahead of the machine's, which is set back by a little now and then. */
const AHEAD_MS = 1000

export interface DurableEngineOptions {
  /** Must exist, and be this engine's alone. */
  directory: string
  clock: Clock
  random?: Random
  log: Log
  /** Told of faults in the sweep, which goes on. */
  onFault: (error: unknown) => void
  /** Where rows go: by default a file of the directory, once it has been checked. */
  store?: RowStore
}

/** What there is once the engine has recovered. */
interface Running {
  memory: MemoryEngine
  writer: Writer
  image: Image
}

/**
 * The memory engine, with everything it decides written to a disk before anybody is told.
 *
 * Verbs act in memory at once; their answers leave when the disk has what they say (see Writer). Reads never wait: they
 * may show what is on disk a moment later. What the disk refuses is taken back, and its callers are told
 * 'storage-unavailable'.
 */
export class DurableEngine implements Engine {
  readonly #options: DurableEngineOptions
  #running: Running | undefined
  #store: RowStore | undefined
  #heartbeat: Heartbeat | undefined
  #recovery: Recovery | undefined
  #draining = false
  #closed: Promise<void> | undefined
  readonly #deletions = new Map<JournaledPool, Promise<'deleted' | Anytime>>()

  #loss: Error | undefined
  #lose: (error: Error) => void = () => undefined
  /** Resolved, with why, where nothing can be written any more: only a new process can. */
  readonly lost = new Promise<Error>(resolve => (this.#lose = resolve))

  constructor(options: DurableEngineOptions) {
    this.#options = options
  }

  /**
   * Recovers what the directory has. Rejected with a message for people where it is in use, damaged, or can't be read or
   * written; to be called once.
   */
  async start(): Promise<void> {
    const { directory, clock: wall, random, onFault, log } = this.#options
    const store = (this.#store = this.#options.store ?? new ThreadedStore(directory))
    void store.lost.then(error => {
      this.#loss = error
      this.#lose(error)
    })
    const scan = await store.scan()
    const { head } = scan
    const heartbeat = (this.#heartbeat = new Heartbeat(join(directory, ALIVE_FILE), error =>
      log.warn({ err: error }, 'the time can not be noted: after a crash, lives are credited more than the outage')
    ))
    // Time never goes back, whatever has become of the machine's clock.
    const { last } = heartbeat
    if (last.transaction > head.transaction) {
      throw new Error(
        `${join(directory, FILE)} is damaged: it ends with transaction ${head.transaction}, and ${last.transaction} was acknowledged`
      )
    }
    const from = Math.max(head.at, last.at)
    const aheadMs = Math.max(0, from - wall.now())
    if (aheadMs > AHEAD_MS) {
      log.warn(
        { aheadMs },
        `time goes on at ${new Date(from).toISOString()}, ahead of the machine's clock, which was that late once: no deadline is shorter for it; the README says what to do, under Engines`
      )
    }
    const ahead = laterBy(wall, aheadMs)
    const to = ahead.now()
    // It stands still until all is read: no life ends while nobody can call.
    let isHeld = true
    const clock: Clock = { ...ahead, now: () => (isHeld ? to : ahead.now()) }
    const recovery = (this.#recovery = new Recovery(scan, { from: head.count === 0 ? to : from, to }))
    const writer = new Writer({
      store,
      clock,
      onFailure: error => {
        log.error({ err: error }, 'the storage can not be written: changes are refused until it can')
        memory.dismiss({ refusal: 'storage-unavailable' })
      },
      onMended: () => {
        log.info({}, 'the storage can be written again')
        memory.admit()
      },
      onAged: () => heartbeat.note(),
      onCommitted: transaction => heartbeat.note(transaction)
    })
    const memory = new MemoryEngine({
      clock,
      ...(random ? { random } : {}),
      onFault,
      journal: writer,
      saved: recovery.saved
    })
    const stopTelling = this.#tellProgress()
    try {
      await recovery.restore(memory)
      await this.#open(store, head)
      const { image, transaction } = await recovery.settle(memory, store, () => {
        isHeld = false
        return clock.now()
      })
      for (const incarnation of recovery.orphans) writer.purge(incarnation)
      heartbeat.begin(clock, transaction)
      writer.begin(image, transaction)
      if (this.#draining) memory.drain()
      this.#running = { memory, writer, image }
    } finally {
      stopTelling()
    }
    this.#recovery = undefined
    log.info({ rows: head.count, ms: clock.now() - to }, `recovered ${head.count} rows`)
  }

  pools(): ReturnType<Engine['pools']> {
    return this.#read(memory => memory.pools())
  }

  pool(...of: Of<'pool'>): ReturnType<Engine['pool']> {
    return this.#read(memory => memory.pool(...of))
  }

  putPool(...of: Of<'putPool'>): ReturnType<Engine['putPool']> {
    return this.#change(memory => memory.putPool(...of))
  }

  /** The end is written before it comes: keys that are gone from memory can't be brought back. */
  deletePool(name: string): ReturnType<Engine['deletePool']> {
    const running = this.#writable()
    if ('refusal' in running) return running
    const pool = running.memory.find(name)
    if (pool === undefined) return { refusal: 'unknown-pool' }
    const deletion = this.#deletions.get(pool)
    if (deletion !== undefined) {
      return deletion.then(outcome => (outcome === 'deleted' ? { refusal: 'unknown-pool' } : outcome))
    }
    const deleting = this.#delete(running, pool).finally(() => this.#deletions.delete(pool))
    this.#deletions.set(pool, deleting)
    return deleting
  }

  generate(...of: Of<'generate'>): ReturnType<Engine['generate']> {
    return this.#change(memory => memory.generate(...of))
  }

  importKeys(...of: Of<'importKeys'>): ReturnType<Engine['importKeys']> {
    return this.#change(memory => memory.importKeys(...of))
  }

  list(...of: Of<'list'>): ReturnType<Engine['list']> {
    return this.#read(memory => memory.list(...of))
  }

  key(...of: Of<'key'>): ReturnType<Engine['key']> {
    return this.#read(memory => memory.key(...of))
  }

  delete(...of: Of<'delete'>): ReturnType<Engine['delete']> {
    return this.#change(memory => memory.delete(...of))
  }

  keepAlive(...of: Of<'keepAlive'>): ReturnType<Engine['keepAlive']> {
    return this.#change(memory => memory.keepAlive(...of))
  }

  activate(...of: Of<'activate'>): ReturnType<Engine['activate']> {
    return this.#change(memory => memory.activate(...of))
  }

  setMetadata(...of: Of<'setMetadata'>): ReturnType<Engine['setMetadata']> {
    return this.#change(memory => memory.setMetadata(...of))
  }

  unblock(...of: Of<'unblock'>): ReturnType<Engine['unblock']> {
    return this.#change(memory => memory.unblock(...of))
  }

  acquire(...of: Of<'acquire'>): ReturnType<Engine['acquire']> {
    return this.#change(memory => memory.acquire(...of))
  }

  lease(...of: Of<'lease'>): ReturnType<Engine['lease']> {
    return this.#read(memory => memory.lease(...of))
  }

  renew(...of: Of<'renew'>): ReturnType<Engine['renew']> {
    return this.#change(memory => memory.renew(...of))
  }

  release(...of: Of<'release'>): ReturnType<Engine['release']> {
    return this.#change(memory => memory.release(...of))
  }

  batch(...of: Of<'batch'>): ReturnType<Engine['batch']> {
    return this.#change(memory => memory.batch(...of))
  }

  readiness(): string[] {
    if (this.#loss !== undefined) return [`the storage is lost: ${this.#loss.message}`]
    if (this.#running === undefined) {
      const { rows, of } = this.#recovery?.progress ?? { rows: 0, of: 0 }
      return [`recovering: ${rows} of ${of} rows are read`]
    }
    const { memory, writer } = this.#running
    const reasons = memory.readiness()
    if (writer.failure !== undefined) reasons.push(`the storage can not be written: ${writer.failure.message}`)
    else if (writer.slowMs > 0) reasons.push(`the storage has not answered for ${writer.slowMs} ms`)
    return reasons
  }

  drain(): void {
    this.#draining = true
    this.#running?.memory.drain()
  }

  /** Writes what is left, and lets the directory go. */
  close(): Promise<void> {
    return (this.#closed ??= this.#close())
  }

  async #close(): Promise<void> {
    this.#draining = true
    this.#running?.memory.close()
    await this.#running?.writer.close()
    this.#heartbeat?.close()
    await this.#store?.close()
  }

  /** What changes go to, or why there can be none. */
  #writable(): Running | Anytime {
    if (this.#running === undefined) return { refusal: 'not-ready' }
    return this.#running.writer.failure === undefined ? this.#running : { refusal: 'storage-unavailable' }
  }

  #read<T>(verb: (memory: MemoryEngine) => T): T | Anytime {
    return this.#running === undefined ? { refusal: 'not-ready' } : verb(this.#running.memory)
  }

  #change<T>(verb: (memory: MemoryEngine) => Answer<T>): Answer<T | Anytime> {
    const running = this.#writable()
    if ('refusal' in running) return running
    const answer = verb(running.memory)
    return answer instanceof Promise
      ? answer.then(value => onDisk(running.writer, value))
      : onDisk(running.writer, answer)
  }

  async #delete({ memory, writer, image }: Running, pool: JournaledPool): Promise<'deleted' | Anytime> {
    image.ending(pool, true)
    try {
      writer.poolChanged(pool)
      if (!(await writer.written())) return { refusal: 'storage-unavailable' }
      memory.deletePool(pool.name)
      writer.purge(pool.incarnation)
      return 'deleted'
    } finally {
      image.ending(pool, false)
    }
  }

  /** Opens what was scanned. */
  async #open(store: RowStore, scanned: Head): Promise<void> {
    const { directory, log } = this.#options
    const { transaction } = await store.open()
    if (transaction !== scanned.transaction) throw new Error(`${directory} is in use: somebody has written to it`)
    try {
      if (await store.compact()) log.info({}, 'the data file was mostly empty and has been written anew')
    } catch (error) {
      log.warn({ err: error }, 'the data file is mostly empty, and could not be written anew')
    }
  }

  #tellProgress(): () => void {
    const tell = (): void => {
      this.#options.log.info({}, this.readiness().join('; '))
      timer = this.#options.clock.after(PROGRESS_MS, tell)
    }
    let timer = this.#options.clock.after(PROGRESS_MS, tell)
    return () => timer.cancel()
  }
}

/**
 * An answer, once all that it may tell of is on disk. Where nothing is under way it leaves at once. A refusal that tells
 * what could be taken back waits as well.
 */
function onDisk<T>(writer: Writer, answer: T): Answer<T | Anytime> {
  const written = writer.written()
  if (written === undefined) return answer
  return written.then(kept => (kept ? answer : { refusal: 'storage-unavailable' }))
}

/** The arguments of a verb. */
type Of<V extends keyof Engine> = Parameters<Engine[V]>
