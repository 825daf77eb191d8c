import { checkBoolean, checkInteger, checkOptionalString, checkString } from './arguments.ts'
import { parseLeaseId } from './lease-id.ts'
import { longestHold, MAX_COOLDOWN_MS, MIN_LEASE_MS } from './policy.ts'
import { APPLIED_PER_VERB, type PoolState } from './pool-state.ts'
import { ACQUIRED_AT, FENCE, HOLD_MS, UNTIL } from './records.ts'
import { viewLeaseAt } from './slot-views.ts'
import type { LeaseView } from './views.ts'

export interface AcquireRequest {
  /** 100 … the policy's `leaseMs`, which it is where absent. */
  leaseMs?: number | undefined
  /** Who holds it, for people to read. */
  holder?: string | undefined
  /** Whose lease it is: verbs that are given another owner refuse it. Everybody's where absent. */
  owner?: string | undefined
}

export interface LeaseRequest {
  /** Also the secret. */
  reveal?: boolean | undefined
  /** Only where the lease is this one's, or everybody's; else 'forbidden'. */
  owner?: string | undefined
}

export interface RenewRequest {
  /**
   * From now on, 100 … the policy's `leaseMs`. Where absent, the length that the lease was acquired for, although the
   * policy's may have become shorter since: a change of the policy shortens no lease.
   */
  leaseMs?: number | undefined
  /** Also keep the key alive. */
  keepAlive?: boolean | undefined
  /** As in LeaseRequest. */
  owner?: string | undefined
}

export interface ReleaseRequest {
  /** For so long the key is not served: 0 … 86,400,000, 0 where absent. */
  cooldownMs?: number | undefined
  /** As in LeaseRequest. */
  owner?: string | undefined
}

/** The verbs of KeyPool that are about leases. */
export class Leases {
  readonly #state: PoolState
  /** Of the latest lease. */
  #fence: number

  constructor(state: PoolState, fence: number) {
    this.#state = state
    this.#fence = fence
  }

  get fence(): number {
    return this.#fence
  }

  /** A lease with this fence has been. */
  raiseFence(fence: number): void {
    this.#fence = Math.max(this.#fence, fence)
  }

  acquire({
    leaseMs = this.#state.policy.leaseMs,
    holder,
    owner
  }: AcquireRequest): LeaseView | 'no-free-key' | 'lease-too-long' | 'behind' {
    checkOptionalString('holder', holder)
    checkOptionalString('owner', owner)
    if (!this.allows(leaseMs)) return 'lease-too-long'
    const { ring, deadlines, random } = this.#state
    const now = this.#state.begin()
    for (let picked = 0; ring.count('free') > 0; picked++) {
      // Where nothing is due, all that are left are alive: the next pick is the last.
      if (picked >= APPLIED_PER_VERB && deadlines.isBehind(now)) return 'behind'
      const slot = ring.at('free', random.below(ring.count('free')))
      if (deadlines.isAlive(slot, now)) return this.#grant(slot, leaseMs, holder, owner, now)
      // Its life ended, and the sweep has not come by yet.
      deadlines.retire(slot)
    }
    return deadlines.isBehind(now) ? 'behind' : 'no-free-key'
  }

  allows(leaseMs: number): boolean {
    checkInteger('leaseMs', leaseMs, MIN_LEASE_MS)
    return leaseMs <= this.#state.policy.leaseMs
  }

  get(leaseId: string, { reveal = false, owner }: LeaseRequest): LeaseView | 'lease-lost' | 'forbidden' {
    checkBoolean('reveal', reveal)
    checkOptionalString('owner', owner)
    const { ring, clock } = this.#state
    const now = clock()
    const slot = this.#find(leaseId, now)
    if (slot === undefined) return 'lease-lost'
    return ring.isOwnedBy(slot, owner) ? this.#view(slot, now, reveal) : 'forbidden'
  }

  renew(
    leaseId: string,
    { leaseMs, keepAlive = false, owner }: RenewRequest
  ): LeaseView | 'lease-lost' | 'forbidden' | 'lease-too-long' | 'max-hold-reached' {
    checkBoolean('keepAlive', keepAlive)
    checkOptionalString('owner', owner)
    if (leaseMs !== undefined && !this.allows(leaseMs)) return 'lease-too-long'
    const { ring, policy, journal } = this.#state
    const { records } = ring
    const now = this.#state.begin()
    const slot = this.#find(leaseId, now)
    if (slot === undefined) return 'lease-lost'
    if (!ring.isOwnedBy(slot, owner)) return 'forbidden'
    const until = records.get(slot, UNTIL)
    const last = records.get(slot, ACQUIRED_AT) + longestHold(policy)
    if (until >= last) return 'max-hold-reached'
    const asked = now + (leaseMs ?? records.getInteger(slot, HOLD_MS))
    const renewed = Math.max(until, Math.min(asked, last))
    // The heap's entry is left where it is: it surfaces early, and is armed anew then.
    records.set(slot, UNTIL, renewed)
    const livesOn = keepAlive && this.#state.keepAlive(slot, now)
    if (renewed !== until || livesOn) journal.changed(ring.idOf(slot))
    return this.#view(slot, now, false)
  }

  release(leaseId: string, { cooldownMs = 0, owner }: ReleaseRequest): 'released' | 'lease-lost' | 'forbidden' {
    if (cooldownMs !== 0) checkInteger('cooldownMs', cooldownMs, 0, MAX_COOLDOWN_MS)
    checkOptionalString('owner', owner)
    checkString('leaseId', leaseId)
    const { ring, deadlines, journal } = this.#state
    const { records } = ring
    const now = this.#state.begin()
    const named = parseLeaseId(leaseId)
    const slot = named && deadlines.find(named.keyId, now)
    // A fence is forgotten when its lease ends otherwise, so one that is remembered for a key not leased was released.
    if (slot === undefined || records.get(slot, FENCE) !== named?.fence) return 'lease-lost'
    if (!ring.isOwnedBy(slot, owner)) return 'forbidden'
    if (ring.stateOf(slot) !== 'leased') return 'released'
    ring.forgetHolder(slot)
    records.setInteger(slot, HOLD_MS, cooldownMs)
    if (cooldownMs === 0) {
      records.set(slot, UNTIL, now)
      ring.move(slot, 'free')
    } else {
      ring.move(slot, 'cooling')
      deadlines.hold(slot, now + cooldownMs)
    }
    journal.changed(ring.idOf(slot))
    return 'released'
  }

  unblock(id: string, fence: number | undefined): 'unblocked' | 'unknown-key' | 'key-not-leased' | 'lease-lost' {
    checkString('id', id)
    if (fence !== undefined) checkInteger('fence', fence, 0)
    const { ring, deadlines, journal } = this.#state
    const now = this.#state.begin()
    const slot = deadlines.find(id, now)
    if (slot === undefined) return 'unknown-key'
    if (ring.stateOf(slot) === 'free') return 'key-not-leased'
    if (fence !== undefined && ring.records.get(slot, FENCE) !== fence) return 'lease-lost'
    ring.records.set(slot, UNTIL, now)
    deadlines.free(slot)
    journal.changed(id)
    return 'unblocked'
  }

  #find(leaseId: string, now: number): number | undefined {
    checkString('leaseId', leaseId)
    const { ring, deadlines } = this.#state
    const named = parseLeaseId(leaseId)
    const slot = named && deadlines.find(named.keyId, now)
    if (slot === undefined || ring.stateOf(slot) !== 'leased') return undefined
    return ring.records.get(slot, FENCE) === named?.fence ? slot : undefined
  }

  #grant(slot: number, leaseMs: number, holder: string | undefined, owner: string | undefined, now: number): LeaseView {
    const { ring, deadlines, journal } = this.#state
    ring.move(slot, 'leased')
    ring.records.set(slot, ACQUIRED_AT, now)
    ring.records.set(slot, FENCE, ++this.#fence)
    ring.records.setInteger(slot, HOLD_MS, leaseMs)
    if (holder !== undefined) ring.holders.set(slot, holder)
    ring.setOwner(slot, owner)
    deadlines.hold(slot, now + leaseMs)
    const view = this.#view(slot, now, true)
    journal.changed(view.keyId)
    return view
  }

  #view(slot: number, now: number, reveal: boolean): LeaseView {
    return viewLeaseAt(this.#state.ring, slot, now, longestHold(this.#state.policy), reveal)
  }
}
