import type { Engine, Operation, Outcome, Refusal, Retry } from '../engine.ts'
import type { Random } from '../pool/key-pool.ts'
import { parseLeaseId } from '../pool/lease-id.ts'
import { Unavailable } from './connection.ts'
import { fraction, marksOf } from './key-factory.ts'
import type { PoolScripts } from './pool-scripts.ts'
import { readKey, readLease, readRefusal, type Reply } from './replies.ts'

/** How many operations one script does: a few milliseconds of the server's time. */
const AT_ONCE = 64

/**
 * Batches, in pieces that are each done as a whole. What a piece came to is kept with it, so a retry of a batch that broke
 * off does the rest of it, and nothing twice.
 */
export class BatchCalls {
  readonly #scripts: PoolScripts
  readonly #random: Random

  constructor(scripts: PoolScripts, random: Random) {
    this.#scripts = scripts
    this.#random = random
  }

  async run(
    operations: readonly Operation[],
    { retry, owner }: { readonly retry?: Retry | undefined; readonly owner?: string | undefined } = {}
  ): Promise<Awaited<ReturnType<Engine['batch']>>> {
    const outcomes: Outcome[] = []
    for (let from = 0; from === 0 || from < operations.length; from += AT_ONCE) {
      const piece = operations.slice(from, from + AT_ONCE)
      const marks = marksOf(retry, `batch ${from} `)
      const asked = piece.map(operation => JSON.stringify(this.#asked(operation, owner)))
      const reply = await this.#scripts
        .untilCaughtUp(() => this.#scripts.run('batch', ...marks, ...asked))
        .catch((error: unknown) => {
          // Pieces before it have been done.
          throw error instanceof Unavailable ? new Unavailable(error.message, error.unsure || from > 0) : error
        })
      if (reply[0] !== 'done') return readRefusal(reply)
      for (const [i, answer] of (reply[1] as Reply[]).entries()) {
        outcomes.push(outcomeOf((piece[i] as Operation).op, answer))
      }
    }
    return outcomes
  }

  #asked(operation: Operation, owner = ''): (string | number)[] {
    switch (operation.op) {
      case 'acquire': {
        const { leaseMs = '', holder = '' } = operation
        // Half of a surrogate pair is no text, which the script's JSON refuses: U+FFFD stands for it, as in any other call.
        const name = Buffer.from(holder).toString()
        const alone = ['', '', '', '']
        return ['acquire', leaseMs, name, operation.owner ?? owner, ...alone, fraction(this.#random)]
      }
      case 'release':
        return ['release', ...nameOf(operation.lease), owner, operation.cooldownMs ?? 0]
      case 'renew':
        return ['renew', ...nameOf(operation.lease), owner, operation.leaseMs ?? '', operation.keepAlive ? 1 : '']
      case 'unblock':
        return ['unblock', operation.id, operation.fence ?? '']
      default:
        return [operation.op, operation.id]
    }
  }
}

function outcomeOf(op: Operation['op'], answer: Reply): Outcome {
  const [status] = answer
  // In a retry's answer, what it gave then has ended since.
  const ended = status === 'ended'
  const refusal = (): Refusal => readRefusal(answer)
  switch (op) {
    case 'acquire':
      return { op, value: ended ? null : status === 'granted' ? readLease(answer) : refusal() }
    case 'renew':
      return { op, value: ended ? null : status === 'renewed' ? readLease(answer) : refusal() }
    case 'keepAlive':
      return { op, value: ended ? null : status === 'living' ? readKey(answer) : refusal() }
    case 'activate': {
      const first = status === 'activated'
      return { op, first, value: ended ? null : first || status === 'living' ? readKey(answer) : refusal() }
    }
    default:
      return { op, value: ['released', 'deleted', 'unblocked'].includes(status) ? 'done' : refusal() }
  }
}

/** The key and the fence of a lease; of what names none, a key that can't be. */
export function nameOf(leaseId: string): [id: string, fence: number] {
  const named = parseLeaseId(leaseId)
  return named === undefined ? ['-', 0] : [named.keyId, named.fence]
}
