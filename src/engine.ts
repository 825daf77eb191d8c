import type {
  AcquireRequest,
  KeyImport,
  KeyState,
  KeyspaceView,
  KeyView,
  LeaseView,
  ListRequest,
  Metadata,
  Policy,
  PoolCounts,
  ReleaseRequest,
  RenewRequest
} from './pool/key-pool.ts'

/** The pool that always exists. */
export const DEFAULT_POOL = 'default'
export const MAX_POOLS = 1000
/** What a pool may be named. */
export const POOL_NAME_PATTERN = '^[a-z0-9][a-z0-9-]{0,62}$'
/** How many callers may wait for a key of one pool. */
export const MAX_WAITING = 10_000
/** How long the results of generation, import and batch are kept for retries. */
export const KEPT_MS = 600_000

/**
 * The contract of an engine: whatever fulfils it can stand behind the routes. Verbs take a pool's name, answer with a
 * value or a typed refusal, at once or later, and throw only when the engine is broken. Instants are milliseconds since
 * 1970 by the engine's clock, lengths milliseconds.
 *
 * `owner` is whoever a lease belongs to: the lease is taken in that name, and a verb that is given one acts on no lease
 * of another's, which is 'forbidden'. Without it, leases are everybody's.
 */
export interface Engine {
  pools(): VerbAnswer<PoolView[]>
  pool(pool: string): VerbAnswer<PoolView | Refusal<'unknown-pool'>>
  /** Makes a pool, or changes the policy of one: absent members keep their value, or have their default. */
  putPool(
    pool: string,
    policy: Partial<Policy>
  ): VerbAnswer<{ made: boolean; pool: PoolView } | Refusal<'too-many-pools' | 'policy-locked' | 'max-hold-too-short'>>
  /** Ends a pool with all its keys. Its waiters are refused as 'unknown-pool'. */
  deletePool(pool: string): VerbAnswer<'deleted' | Refusal<'unknown-pool'>>

  /** New random keys, all or none, with their secrets. A retry gets those that still live. */
  generate(
    pool: string,
    request: { count: number; metadata: Metadata | null },
    retry?: Retry
  ): VerbAnswer<KeyView[] | Delayed | Refusal<'keyspace-exhausted' | 'pool-full' | 'idempotency-key-reused'>>
  /** Keys from elsewhere, distinct, all or none, with their secrets. A retry gets those that still live. */
  importKeys(
    pool: string,
    keys: readonly KeyImport[],
    retry?: Retry
  ): VerbAnswer<KeyView[] | Delayed | Refusal<'key-exists' | 'key-retired' | 'pool-full' | 'idempotency-key-reused'>>
  /** A page of keys: one that keeps its state during the whole walk is met at least once. */
  list(
    pool: string,
    request: ListRequest
  ): VerbAnswer<{ keys: KeyView[]; nextCursor: string | null } | Delayed | Refusal<'bad-cursor'>>
  key(pool: string, id: string, reveal?: boolean): VerbAnswer<KeyView | UnknownKey>
  delete(pool: string, id: string): VerbAnswer<'deleted' | UnknownKey>
  keepAlive(pool: string, id: string): VerbAnswer<KeyView | UnknownKey>
  activate(pool: string, id: string): VerbAnswer<{ first: boolean; key: KeyView } | UnknownKey>
  setMetadata(pool: string, id: string, metadata: Metadata | null): VerbAnswer<KeyView | UnknownKey>
  /** Ends the lease or the cooling of a key, whoever has it; with `fence`, only that lease. */
  unblock(
    pool: string,
    id: string,
    fence?: number
  ): VerbAnswer<'unblocked' | UnknownKey | Refusal<'key-not-leased' | 'lease-lost'>>

  /**
   * A lease of a random free key, with its secret. A retry gets the same lease for as long as it lives. `signal` tells that
   * the caller has left: it then gets no key. It is read only where the caller has to wait, or may retry.
   */
  acquire(
    pool: string,
    request: AcquireRequest & { waitMs?: number | undefined },
    context?: { readonly retry?: Retry | undefined; readonly signal?: AbortSignal | undefined }
  ): VerbAnswer<
    | LeaseView
    | Refusal<'unknown-pool' | 'no-free-key' | 'lease-too-long' | 'overloaded' | 'draining' | 'idempotency-key-reused'>
  >
  lease(pool: string, leaseId: string, owner?: string): VerbAnswer<LeaseView | LeaseLost>
  renew(
    pool: string,
    leaseId: string,
    request: RenewRequest
  ): VerbAnswer<LeaseView | LeaseLost | Refusal<'lease-too-long' | 'max-hold-reached'>>
  release(pool: string, leaseId: string, request?: ReleaseRequest): VerbAnswer<'released' | LeaseLost>

  /** Operations in order, each with the outcome that its own verb would have had. */
  batch(
    pool: string,
    operations: readonly Operation[],
    context?: { readonly retry?: Retry | undefined; readonly owner?: string | undefined }
  ): VerbAnswer<Outcome[] | Delayed | Refusal<'idempotency-key-reused'>>

  /** Why the engine can't serve at present, in words; empty where it can. */
  readiness(): string[]
  /** Refuses those who wait, and those who would, as 'draining'. */
  drain(): void
  close(): Answer<void>
}

export type Answer<T> = T | Promise<T>

/** What each verb may refuse as besides: the engine still recovers, or can't write at present. Nothing was changed. */
export type Anytime = Refusal<'not-ready' | 'storage-unavailable'>
export type VerbAnswer<T> = Answer<T | Anytime>

export interface PoolView {
  name: string
  policy: Readonly<Policy>
  counts: Counts
  keyspace: KeyspaceView
}

export interface Counts extends PoolCounts {
  /** Callers that wait for a key. */
  waiting: number
}

/** What makes a repeated call a retry. */
export interface Retry {
  /** The caller and its Idempotency-Key. */
  scope: string
  /** The same for the same request. */
  fingerprint: string
}

/** Every refusal of an engine, with the members that go with it. */
export interface Refusals {
  'bad-cursor': unknown
  draining: unknown
  /** The lease is another's. */
  forbidden: unknown
  'idempotency-key-reused': unknown
  'key-exists': { indexes: number[] }
  'key-not-leased': unknown
  'key-retired': { indexes: number[] }
  'keyspace-exhausted': { remaining: number | string }
  'lease-lost': unknown
  'lease-too-long': unknown
  'max-hold-reached': unknown
  'max-hold-too-short': unknown
  /** `retryAfterMs`: the time to the earliest end of a lease or cooling, null where none is pending. */
  'no-free-key': { reason: 'pool-empty' | 'all-held'; retryAfterMs: number | null; counts: Counts }
  'not-ready': unknown
  overloaded: unknown
  'policy-locked': unknown
  'pool-full': unknown
  /** `unsure`: the call may have been carried out; otherwise nothing was changed. */
  'storage-unavailable': { unsure?: true }
  'too-many-pools': unknown
  'unknown-key': unknown
  'unknown-pool': unknown
}

export type Refusal<R extends keyof Refusals = keyof Refusals> = { [K in R]: { refusal: K } & Refusals[K] }[R]
export type UnknownKey = Refusal<'unknown-pool' | 'unknown-key'>
/** Refusals of verbs that may have to wait until due deadlines have been applied. */
export type Delayed = Refusal<'unknown-pool' | 'draining' | 'overloaded'>
export type LeaseLost = Refusal<'unknown-pool' | 'lease-lost' | 'forbidden'>

/** Tells a refusal from any other answer. */
export function isRefusal<T>(answer: T): answer is Extract<T, { refusal: unknown }> {
  return typeof answer === 'object' && answer !== null && 'refusal' in answer
}

export type Operation =
  /** The lease is taken in the name of this owner, or else of the batch's. */
  | { op: 'acquire'; leaseMs?: number | undefined; holder?: string | undefined; owner?: string | undefined }
  | { op: 'release'; lease: string; cooldownMs?: number | undefined }
  | { op: 'renew'; lease: string; leaseMs?: number | undefined; keepAlive?: boolean | undefined }
  | { op: 'keepAlive'; id: string }
  | { op: 'activate'; id: string }
  | { op: 'delete'; id: string }
  | { op: 'unblock'; id: string; fence?: number | undefined }

/** What an operation of a batch came to. `null`: in a retry's answer, what it gave then has ended since. */
export type Outcome =
  | { op: 'acquire' | 'renew'; value: LeaseView | null | Refusal }
  | { op: 'keepAlive'; value: KeyView | null | Refusal }
  | { op: 'activate'; first: boolean; value: KeyView | null | Refusal }
  | { op: 'release' | 'delete' | 'unblock'; value: 'done' | Refusal }

export type { KeyState, KeyView, LeaseView, Metadata, Policy }
