import type { Call, KeyTold, LeaseTold } from './history.ts'

/** A lease that somebody was told of, and when it was given. */
export interface Grant {
  start: number
  end: number
  keyId: string
  fence: number
  holder: string
  /** As first told. */
  expiresAt: number
  /** Undefined where it was told later only. */
  keepAliveBy: number | undefined
  call: Call
}

/** All leases of a history by their fences, and what is wrong with them whichever key they are of. */
export class Grants {
  readonly all = new Map<number, Grant>()
  readonly wrong: { what: string; keyId: string }[] = []
  readonly #marginMs: number
  /** Calls for a lease of which it is unknown what they came to, the first of each holder. */
  readonly #lost = new Map<string, Call>()

  /** `calls` by their ends. */
  constructor(calls: readonly Call[], marginMs: number) {
    this.#marginMs = marginMs
    for (const call of calls) {
      if (call.asked.verb !== 'acquire') continue
      const { holder } = call.asked
      if (call.answer === 'unknown' && !this.#lost.has(holder)) this.#lost.set(holder, call)
      else if (call.answer !== 'unknown' && call.answer.lease) this.#answered(call, call.answer.lease)
    }
    for (const call of calls) {
      if (call.answer === 'unknown' || call.asked.verb === 'generate') continue
      for (const key of call.answer.keys ?? []) this.#seen(call, key)
    }
    this.#compareOrder()
  }

  /** Leases that one holder was given after each other: the one before had ended then, else a retry is given it again. */
  *repeated(): Iterable<{ before: Grant; after: Grant }> {
    const last = new Map<string, Grant>()
    for (const after of [...this.all.values()].sort((a, b) => a.fence - b.fence)) {
      const before = last.get(after.holder)
      if (before) yield { before, after }
      last.set(after.holder, after)
    }
  }

  #answered(call: Call, { keyId, fence, acquiredAt, expiresAt, keepAliveBy }: LeaseTold): void {
    if (call.asked.verb !== 'acquire') return
    const { holder, began } = call.asked
    const known = this.all.get(fence)
    if (known !== undefined) {
      // A retry tells of the lease that the first attempt came to.
      if (known.holder !== holder || known.keyId !== keyId) this.#tell(`the fence ${fence} repeats`, keyId)
      return
    }
    const start = Math.max(began, acquiredAt - this.#marginMs)
    const end = Math.min(call.end, acquiredAt + 1 + this.#marginMs)
    if (start > end) this.#tell(`the lease with the fence ${fence} was given when its holder did not ask`, keyId)
    // A retry tells the times of its own moment; nobody could renew the lease before, but keep the key alive.
    const told = call.start > began ? undefined : keepAliveBy
    this.all.set(fence, { start, end, keyId, fence, holder, expiresAt, keepAliveBy: told, call })
  }

  /** A lease whose holder's answer was lost shows in the key. */
  #seen(call: Call, { id: keyId, lease }: KeyTold): void {
    if (lease === null) return
    const { fence, holder, expiresAt } = lease
    const known = this.all.get(fence)
    if (known !== undefined) {
      if (known.keyId !== keyId || known.holder !== holder) this.#tell(`the fence ${fence} repeats`, keyId)
      return
    }
    const lost = this.#lost.get(holder ?? '')
    if (lost?.asked.verb !== 'acquire') {
      this.#tell(`${holder} holds a lease with the fence ${fence}, and was given none`, keyId)
      return
    }
    const start = lost.asked.began
    const grant = { start, end: call.end, keyId, fence, holder: lost.asked.holder, expiresAt, keepAliveBy: undefined }
    this.all.set(fence, { ...grant, call: lost })
  }

  /** Whoever asked after another had been given a lease has the larger fence. O(n log n). */
  #compareOrder(): void {
    const byEnd = [...this.all.values()].sort((a, b) => a.end - b.end)
    const byStart = [...this.all.values()].sort((a, b) => a.start - b.start)
    let ended = 0
    let largest: Grant | undefined
    for (const grant of byStart) {
      for (let next = byEnd[ended]; next && next.end < grant.start; next = byEnd[++ended]) {
        if (largest === undefined || next.fence > largest.fence) largest = next
      }
      if (largest && largest.fence > grant.fence) {
        this.#tell(`the fence ${grant.fence} was given after ${largest.fence}`, grant.keyId)
      }
    }
  }

  #tell(what: string, keyId: string): void {
    this.wrong.push({ what, keyId })
  }
}
