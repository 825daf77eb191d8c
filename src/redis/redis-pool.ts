import type { Clock } from '../clock.ts'
import type { Engine, KeyView, LeaseView, Metadata, Policy, PoolView, Refusal, Refusals, Retry } from '../engine.ts'
import { Retries } from '../memory/retries.ts'
import {
  type AcquireRequest,
  DEFAULT_POLICY,
  type KeyImport,
  type ListRequest,
  type Random,
  type ReleaseRequest,
  type RenewRequest
} from '../pool/key-pool.ts'
import { BatchCalls, nameOf } from './batch-calls.ts'
import { KeyFactory, fraction, marksOf } from './key-factory.ts'
import { listPage } from './listing.ts'
import { type AcquireAnswer, NodeLine } from './line.ts'
import { PoolScripts, type ScriptsOptions } from './pool-scripts.ts'
import { readKey, readKeys, readLease, readPool, readRefusal, type Reply } from './replies.ts'

/** How often a free key that turns out to be dead is followed by another draw in one call. */
const DRAWS = 4
/** How often a call that another node's call of the same scope has begun is looked at again, in milliseconds. */
const JOIN_MS = 100

export interface RedisPoolOptions extends ScriptsOptions {
  clock: Clock
  random: Random
  onFault: (error: unknown) => void
  /** Why nobody may wait at this node, where that is so. */
  dismissed: () => Refusal<'draining'> | undefined
}

/** One pool as this node asks for it: nothing of it is kept here but who waits, and what generated keys are made of. */
export class RedisPool {
  readonly name: string
  readonly line: NodeLine
  readonly scripts: PoolScripts
  readonly #options: RedisPoolOptions
  readonly #factory: KeyFactory
  readonly #batches: BatchCalls
  /** Calls of this node that retries join; the results of those that ended are the server's. */
  readonly #acquiring = new Retries<LeaseView>({ recall: () => undefined, keep: () => undefined })

  constructor(name: string, options: RedisPoolOptions) {
    this.name = name
    this.#options = options
    this.scripts = new PoolScripts(name, options)
    this.line = new NodeLine({ ...options, scripts: this.scripts })
    this.scripts.isWaiting = () => this.line.size > 0
    this.#factory = new KeyFactory(this.scripts, options.random)
    this.#batches = new BatchCalls(this.scripts, options.random)
  }

  async view(): Promise<PoolView | Refusal<'unknown-pool'>> {
    const reply = await this.scripts.run('view')
    return reply[0] === 'pool' ? readPool(this.name, reply) : readRefusal(reply)
  }

  /** Makes or changes the pool, which is in the list of pools with this entry. */
  async put(
    entry: string,
    changes: Partial<Policy>
  ): Promise<'made' | 'changed' | Refusal<'policy-locked' | 'max-hold-too-short'>> {
    const reply = await this.scripts.run('putPool', entry, JSON.stringify(changes), JSON.stringify(DEFAULT_POLICY))
    const [outcome] = reply
    return outcome === 'made' || outcome === 'changed' ? outcome : readRefusal(reply)
  }

  async generate(
    { count, metadata }: { count: number; metadata: Metadata | null },
    retry?: Retry
  ): Promise<Awaited<ReturnType<Engine['generate']>>> {
    const reply = await this.#factory.generate(count, metadata, retry)
    return reply[0] === 'entered' ? readKeys(reply) : readRefusal(reply)
  }

  async importKeys(imports: readonly KeyImport[], retry?: Retry): Promise<Awaited<ReturnType<Engine['importKeys']>>> {
    const reply = await this.#factory.import(imports, retry)
    return reply[0] === 'entered' ? readKeys(reply) : readRefusal(reply)
  }

  list(request: ListRequest): ReturnType<Engine['list']> {
    return listPage(this.scripts, request)
  }

  key(id: string, reveal = false): Promise<KeyView | KeyRefusal> {
    return this.#keyOf('key', id, reveal ? 1 : '')
  }

  keepAlive(id: string): Promise<KeyView | KeyRefusal> {
    return this.#keyOf('keepAlive', id)
  }

  setMetadata(id: string, metadata: Metadata | null): Promise<KeyView | KeyRefusal> {
    return this.#keyOf('setMetadata', id, metadata === null ? '' : JSON.stringify(metadata))
  }

  async activate(id: string): Promise<{ first: boolean; key: KeyView } | KeyRefusal> {
    const reply = await this.scripts.run('activate', id)
    const first = reply[0] === 'activated'
    return first || reply[0] === 'living' ? { first, key: readKey(reply) } : readRefusal(reply)
  }

  delete(id: string): Promise<'deleted' | KeyRefusal> {
    return this.#done('deleted', this.scripts.run('delete', id))
  }

  unblock(id: string, fence?: number): Promise<'unblocked' | KeyRefusal | Refusal<'key-not-leased' | 'lease-lost'>> {
    return this.#done('unblocked', this.scripts.run('unblock', id, fence ?? ''))
  }

  acquire(
    request: AcquireRequest & { waitMs?: number | undefined },
    { retry, signal }: { readonly retry?: Retry | undefined; readonly signal?: AbortSignal | undefined } = {}
  ): Promise<AcquireAnswer> {
    if (retry === undefined) return this.#acquire(request, undefined, signal)
    // Who has left joins nobody.
    if (signal?.aborted) return this.#noFreeKey()
    return Promise.resolve(this.#acquiring.once(retry, joint => this.#acquire(request, retry, joint), signal))
  }

  async lease(leaseId: string, owner?: string): Promise<LeaseView | LeaseRefusal> {
    return this.#leaseOf('running', leaseId, named => this.scripts.run('lease', ...named, owner ?? ''))
  }

  renew(
    leaseId: string,
    { leaseMs, keepAlive, owner }: RenewRequest
  ): Promise<LeaseView | LeaseRefusal | Refusal<'lease-too-long' | 'max-hold-reached'>> {
    return this.#leaseOf('renewed', leaseId, named =>
      this.scripts.run('renew', ...named, owner ?? '', leaseMs ?? '', keepAlive ? 1 : '')
    )
  }

  async release(leaseId: string, { cooldownMs = 0, owner }: ReleaseRequest = {}): Promise<'released' | LeaseRefusal> {
    return this.#done('released', this.scripts.run('release', ...nameOf(leaseId), owner ?? '', cooldownMs))
  }

  batch(...call: Parameters<BatchCalls['run']>): ReturnType<BatchCalls['run']> {
    return this.#batches.run(...call)
  }

  async #acquire(
    request: AcquireRequest & { waitMs?: number | undefined },
    retry: Retry | undefined,
    signal: AbortSignal | undefined
  ): Promise<AcquireAnswer> {
    const { clock, dismissed } = this.#options
    const { waitMs = 0 } = request
    const until = clock.now() + waitMs
    for (;;) {
      const mayWait = waitMs > 0 && dismissed() === undefined && !signal?.aborted
      const ask = (waiter: string): Promise<Reply> =>
        this.scripts.untilCaughtUp(() => this.#ask(request, retry, mayWait ? waiter : ''))
      const reply = mayWait
        ? await this.line.enter(ask, { ...request, waitMs: Math.max(1, until - clock.now()) }, { retry, signal })
        : await ask('')
      if ('answer' in reply) return reply.answer
      if (reply[0] === 'granted') return this.#given(readLease(reply), retry, signal)
      if (reply[0] === 'joined' && mayWait && clock.now() < until) {
        await new Promise<void>(resolve => clock.after(JOIN_MS, resolve))
        continue
      }
      if (reply[0] === 'joined') return dismissed() ?? this.#noFreeKey()
      if (reply[0] === 'no-free-key' && waitMs > 0) return dismissed() ?? readRefusal(reply)
      return readRefusal(reply)
    }
  }

  #ask(request: AcquireRequest, retry: Retry | undefined, waiter: string): Promise<Reply> {
    const { leaseMs, holder, owner } = request
    const randoms = Array.from({ length: DRAWS }, () => fraction(this.#options.random))
    const waits = waiter === '' ? '' : 1
    return this.scripts.run(
      'acquire',
      leaseMs ?? '',
      holder ?? '',
      owner ?? '',
      ...marksOf(retry),
      waits,
      waiter,
      ...randoms
    )
  }

  /** A caller who left while the server was asked gets nothing, and the key is free again; a retry may still come. */
  async #given(lease: LeaseView, retry: Retry | undefined, signal: AbortSignal | undefined): Promise<AcquireAnswer> {
    if (!signal?.aborted || retry !== undefined) return lease
    await this.release(lease.id)
    return this.#noFreeKey()
  }

  async #noFreeKey(): Promise<Refusal<'no-free-key' | 'unknown-pool'>> {
    return readRefusal(await this.scripts.untilCaughtUp(() => this.scripts.run('leave', '')))
  }

  async #keyOf(
    verb: 'key' | 'keepAlive' | 'setMetadata',
    ...asked: (string | number)[]
  ): Promise<KeyView | KeyRefusal> {
    const reply = await this.scripts.run(verb, ...asked)
    return reply[0] === 'living' ? readKey(reply) : readRefusal(reply)
  }

  async #leaseOf<R extends keyof Refusals>(
    status: string,
    leaseId: string,
    ask: (named: [id: string, fence: number]) => Promise<Reply>
  ): Promise<LeaseView | Refusal<R>> {
    const reply = await ask(nameOf(leaseId))
    return reply[0] === status ? readLease(reply) : readRefusal(reply)
  }

  async #done<S extends string, R extends keyof Refusals>(status: S, answer: Promise<Reply>): Promise<S | Refusal<R>> {
    const reply = await answer
    return reply[0] === status ? status : readRefusal(reply)
  }
}

type KeyRefusal = Refusal<'unknown-pool' | 'unknown-key'>
type LeaseRefusal = Refusal<'unknown-pool' | 'lease-lost' | 'forbidden'>
