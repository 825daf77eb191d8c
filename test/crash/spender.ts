import type { Answer, Caller } from './caller.ts'
import type { Ledger } from './ledger.ts'
import { keySeen, leaseSeen } from './read-all.ts'

/** Where keys are spent. */
export const SPENT = 'spent'

/**
 * Makes a key, leases it and deletes it, again and again: at most instants no key's row tells how far the fences of the
 * pool have come, only the pool's own does.
 */
export class Spender {
  readonly #ledger: Ledger
  #spent = 0

  constructor(ledger: Ledger) {
    this.#ledger = ledger
  }

  /** How many keys have been spent. */
  get spent(): number {
    return this.#spent
  }

  /** Spends keys until a call is not answered, or `over` says so. */
  async load(caller: Caller, over: () => boolean): Promise<void> {
    while (!over() && (await this.spend(caller))) this.#spent++
  }

  /** Whether all calls were answered. The ledger is told: of a fence, too, that is not larger than all before. */
  async spend(caller: Caller): Promise<boolean> {
    const made = this.#ledger.making(SPENT, 1)
    const keys = await caller.ask(`POST /v1/pools/${SPENT}/keys`, {})
    if (keys === undefined) return false
    made(this.#is(keys, 201) ? (keys.body['keys'] as unknown[]).map(keySeen) : [])
    const leased = this.#ledger.acquiring(SPENT)
    const lease = await caller.ask(`POST /v1/pools/${SPENT}/leases`)
    if (lease === undefined) return false
    const seen = this.#is(lease, 201) ? leaseSeen(lease.body) : undefined
    leased(seen)
    const key = this.#ledger.keys.get(seen?.keyId ?? '')
    if (key === undefined) return true
    const deleted = this.#ledger.deleting(key)
    const end = await caller.ask(`DELETE /v1/pools/${SPENT}/keys/${key.id}`)
    if (end === undefined) return false
    deleted(this.#is(end, 204) ? 'deleted' : 'refused')
    return true
  }

  #is({ status, body }: Answer, expected: number): boolean {
    if (status !== expected) this.#ledger.wrong(SPENT, `${status} ${JSON.stringify(body)} instead of ${expected}`)
    return status === expected
  }
}
