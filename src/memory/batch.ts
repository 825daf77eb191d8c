import { isRefusal, type Operation, type Outcome, type Refusal } from '../engine.ts'
import type { KeyView, LeaseView } from '../pool/key-pool.ts'
import type { KeyVerbs } from './key-verbs.ts'

/** What a batch asks of a pool. Any refusal becomes an outcome. */
export type BatchVerbs = {
  [V in 'tryAcquire' | 'renew' | 'release' | 'keepAlive' | 'activate' | 'delete' | 'unblock']: (
    ...asked: Parameters<KeyVerbs[V]>
  ) => ReturnType<KeyVerbs[V]> | Refusal
}

/**
 * Applies an operation, on leases as `owner` where given. The members are named one by one: to spread an operation costs as
 * much as to release a lease.
 */
export function operate(pool: BatchVerbs, operation: Operation, owner: string | undefined): Outcome {
  switch (operation.op) {
    case 'acquire': {
      const { leaseMs, holder } = operation
      return { op: 'acquire', value: pool.tryAcquire({ leaseMs, holder, owner: operation.owner ?? owner }) }
    }
    case 'renew': {
      const { lease, leaseMs, keepAlive } = operation
      return { op: 'renew', value: pool.renew(lease, { leaseMs, keepAlive, owner }) }
    }
    case 'release': {
      const { lease, cooldownMs } = operation
      return { op: 'release', value: done(pool.release(lease, { cooldownMs, owner })) }
    }
    case 'keepAlive':
      return { op: 'keepAlive', value: pool.keepAlive(operation.id) }
    case 'activate': {
      const outcome = pool.activate(operation.id)
      return isRefusal(outcome)
        ? { op: 'activate', first: false, value: outcome }
        : { op: 'activate', first: outcome.first, value: outcome.key }
    }
    case 'delete':
      return { op: 'delete', value: done(pool.delete(operation.id)) }
    case 'unblock':
      return { op: 'unblock', value: done(pool.unblock(operation.id, operation.fence)) }
  }
}

function done(outcome: string | Refusal): 'done' | Refusal {
  return typeof outcome === 'string' ? 'done' : outcome
}

/** An outcome as it is kept for retries: a lease or a key only by its id, so that no secret outlives its key. */
export type KeptOutcome = Exclude<Outcome, { value: LeaseView | KeyView | null }> | KeptView
interface KeptView {
  op: 'acquire' | 'renew' | 'keepAlive' | 'activate'
  first: boolean
  id: string
}

export function keepOutcome(outcome: Outcome): KeptOutcome {
  const { value } = outcome
  if (value === null || value === 'done' || isRefusal(value)) return outcome as KeptOutcome
  return { op: outcome.op as KeptView['op'], first: outcome.op === 'activate' && outcome.first, id: value.id }
}

/** What a retry is told: the outcome as it was recorded, with the lease or the key as it is now, or null if it has ended. */
export function replayOutcome(
  pool: { runningLease(id: string, reveal: boolean): LeaseView | null; livingKey(id: string): KeyView | null },
  kept: KeptOutcome
): Outcome {
  if (!('id' in kept)) return kept
  switch (kept.op) {
    case 'acquire':
    case 'renew':
      return { op: kept.op, value: pool.runningLease(kept.id, kept.op === 'acquire') }
    case 'keepAlive':
      return { op: 'keepAlive', value: pool.livingKey(kept.id) }
    case 'activate':
      return { op: 'activate', first: kept.first, value: pool.livingKey(kept.id) }
  }
}
