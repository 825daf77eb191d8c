import { type Caller, Gatekeeper } from './callers.ts'
import type { Coverage } from './coverage.ts'
import type { ApiDocument, Operation } from './document.ts'
import { Harvest, NAMES_OF_SECRETS, toJson } from './harvest.ts'
import { type Answer, faultsOf, isOfDialect, type Sent } from './judge.ts'
import { Leases } from './leases.ts'
import type { Draft, Step } from './requests.ts'
import type { Target } from './target.ts'
import { HUSH, type Value } from './values.ts'

/** Shorter ones may stand somewhere by chance. */
const SECRET_LENGTH = 12

/** Verbs that change nothing. */
const READING = ['pools', 'pool', 'list', 'key', 'lease', 'readiness']

/** One run against a service that begins anew: throws at the first thing that is wrong, with what was sent and answered. */
export class Run {
  readonly #document: ApiDocument
  readonly #target: Target
  readonly #coverage: Coverage
  readonly #harvest = new Harvest()
  readonly #leases = new Leases()
  readonly #gatekeeper: Gatekeeper
  /** All keys that the service was given or has shown. */
  readonly #secrets = new Set<string>()

  constructor(document: ApiDocument, target: Target, coverage: Coverage) {
    this.#document = document
    this.#target = target
    this.#coverage = coverage
    this.#gatekeeper = new Gatekeeper(document.operations)
  }

  async play(steps: readonly Step[]): Promise<void> {
    await this.#target.reset()
    for (const step of steps) {
      if ('pass' in step) await this.#target.pass(step.pass)
      else await this.#call(step.requests.map(draft => this.#write(draft)))
    }
    await this.#settle()
    this.#searchLog()
  }

  /** Sends requests, some at once, and judges their answers. */
  async #call(requests: readonly Sent[]): Promise<Answer[]> {
    this.#target.takeVerbs()
    const results = await this.#target.send(requests)
    const verbs = [...this.#target.takeVerbs()]
    this.#checkSafe(requests, verbs)
    const answers = results.map(({ answer, route }, i) => {
      const sent = requests[i] as Sent
      const operation = this.#operationAt(route, sent.method)
      this.#coverage.note(operation?.id, answer.status)
      // Before its keys are known, an answer is searched for those of others.
      const faults = faultsOf(this.#document, operation, sent, answer, this.#secrets)
      if (operation !== undefined) faults.push(...this.#gatekeeper.faults(operation, sent, answer))
      if (faults.length > 0) fail(faults.join('; '), sent, answer)
      this.#learn(answer.json)
      return answer
    })
    const isEachRefused = results.every(({ route }, i) => this.#isKeptOut(requests[i] as Sent, route))
    if (isEachRefused && verbs.length > 0)
      throw new Error(`${String(requests[0]?.url)} was refused after ${String(verbs)}`)
    if (this.#target.faults.length > 0) throw new Error(`the sweep met ${String(this.#target.faults[0])}`)
    for (const { earlier, wrong } of this.#leases.take(answers.map(({ json }) => json))) {
      if (wrong !== undefined) throw new Error(wrong)
      const { status } = await this.#get(`/v1/pools/${earlier.pool}/leases/${earlier.id}`)
      if (![404, 410].includes(status)) throw new Error(`two leases name one key: ${earlier.id} still lives`)
    }
    return answers
  }

  /** What only reads changes nothing. The dialects are older than that, and let a GET lease a key. */
  #checkSafe(requests: readonly Sent[], verbs: readonly string[]): void {
    if (!requests.every(({ method, url }) => ['GET', 'HEAD', 'OPTIONS'].includes(method) && !isOfDialect(url))) return
    const changing = verbs.find(verb => !READING.includes(verb))
    if (changing !== undefined)
      throw new Error(`${String(requests[0]?.url)} asks for ${changing}, though it only reads`)
  }

  /** Whether its caller may not make the call: then the engine is asked nothing. */
  #isKeptOut(sent: Sent, route: string | undefined): boolean {
    const operation = this.#operationAt(route, sent.method)
    return operation !== undefined && this.#gatekeeper.refusal(operation, sent) !== undefined
  }

  /** In the name of somebody who may do everything. */
  async #callAsAdmin(method: string, url: string, body?: object): Promise<Answer> {
    const by = this.#target.callers[0] as Caller
    const headers = { ...bearer(by), ...(body && { 'content-type': 'application/json' }) }
    const [answer] = await this.#call([{ method, url, headers, body: body && JSON.stringify(body), by }])
    return answer as Answer
  }

  #get(url: string): Promise<Answer> {
    return this.#callAsAdmin('GET', url)
  }

  #operationAt(route: string | undefined, method: string): Operation | undefined {
    const path = route?.replace(/:([A-Za-z]+)/g, '{$1}')
    return this.#document.operations.find(
      operation =>
        operation.method === (method === 'HEAD' ? 'GET' : method) &&
        (operation.path === path || operation.path === `${path}/`)
    )
  }

  #write(draft: Draft): Sent {
    const { method, path, params, query, headers, body } = draft
    const filled = path.replace(/\{(\w+)\}/g, (_, name: string) => {
      const param = params[name] as Draft['params'][string]
      return 'text' in param ? param.text : encode(textOf(this.#harvest.fill(param.value)))
    })
    const asked = query.map(([name, value]) => `${name}=${encode(textOf(this.#harvest.fill(value)))}`)
    const { by, sent, token } = this.#authenticate(draft)
    if (token !== undefined) asked.push(`token=${token}`)
    let text: string | undefined
    if (body !== undefined) {
      sent['content-type'] = 'application/json'
      if ('bytes' in body) text = `"${' '.repeat(body.bytes)}"`
      else if ('text' in body) text = body.text
      else {
        const value = this.#harvest.fill(body.value)
        // What it took from an answer is known; of the rest, a key is one that was made to be found again.
        this.#learn(value, secret => secret.startsWith(HUSH))
        text = toJson(value)
      }
    }
    for (const [name, value] of Object.entries(headers)) sent[name] = String(value)
    const url = asked.length === 0 ? filled : `${filled}?${asked.join('&')}`
    return { method, url, headers: sent, body: text, by }
  }

  /** Where the token stands: in a header, or in the query, where most operations do not look. */
  #authenticate({ operation: id, path, headers, by, tokenInQuery }: Draft): {
    by: Caller
    sent: Record<string, string>
    token?: string | undefined
  } {
    const { callers } = this.#target
    // Another header takes the place of that of the token: of one that nobody knows.
    if ('authorization' in headers) return { by: callers.find(({ role }) => role === undefined) ?? by, sent: {} }
    const operation = this.#document.operations.find(operation => operation.id === id) as Operation
    const isReadThere = operation.tokenInQuery && operation.path === path
    if (tokenInQuery && isReadThere) return { by, sent: {}, token: by.token }
    const isIgnored = tokenInQuery && by.role === undefined && !operation.tokenInQuery
    return { by, sent: bearer(by), token: isIgnored ? callers[0]?.token : undefined }
  }

  #learn(json: unknown, isSecret: (text: string) => boolean = () => true): void {
    this.#harvest.take(json)
    const walk = (value: unknown): void => {
      if (typeof value !== 'object' || value === null) return
      for (const [name, part] of Object.entries(value)) {
        if (typeof part === 'object') walk(part)
        else if (
          NAMES_OF_SECRETS.includes(name) &&
          typeof part === 'string' &&
          part.length >= SECRET_LENGTH &&
          isSecret(part)
        )
          this.#secrets.add(part)
      }
    }
    walk(json)
  }

  /** What must hold whatever has happened: counts add up, agree with the list, and who has retired does not come back. */
  async #settle(): Promise<void> {
    const { pools } = (await this.#get('/v1/pools')).json as { pools: Pool[] }
    for (const { name, counts } of pools) {
      const { total, free, leased, cooling, waiting } = counts
      if (total !== free + leased + cooling) throw new Error(`${name}: ${JSON.stringify(counts)} does not add up`)
      if (waiting !== 0) throw new Error(`${name}: ${waiting} still wait`)
      const keys = await this.#list(name)
      const states = ['free', 'leased', 'cooling'].map(state => keys.filter(key => key.state === state).length)
      if (String(states) !== String([free, leased, cooling]))
        throw new Error(`${name}: ${JSON.stringify(counts)}, but ${String(states)} are listed`)
      if (new Set(keys.map(({ id }) => id)).size !== keys.length) throw new Error(`${name}: a key is listed twice`)
      for (const { id, state, lease } of keys) {
        if ((state === 'leased') !== (lease !== null)) throw new Error(`${id} is ${state} with ${String(lease?.id)}`)
        if (lease !== null && !lease.id.startsWith(`${id}.`)) throw new Error(`${id} has the lease ${lease.id}`)
      }
    }
    await this.#retire()
  }

  /** All that ages dies, and is refused at import then. */
  async #retire(): Promise<void> {
    const mortal = (await this.#list('default')).filter(({ keepAliveBy }) => keepAliveBy !== null)
    const secrets: string[] = []
    for (const { id } of mortal.slice(0, 5)) {
      const { json } = await this.#get(`/v1/pools/default/keys/${id}?reveal=true`)
      secrets.push((json as { key: string }).key)
    }
    for (let passed = 0; passed < 366; passed++) await this.#target.pass(86_400_000)
    for (const key of secrets) {
      const { status, json } = await this.#callAsAdmin('POST', '/v1/pools/default/keys', { keys: [{ key }] })
      if ((json as { code?: unknown }).code !== 'key-retired') throw new Error(`a retired key came back: ${status}`)
    }
  }

  async #list(pool: string): Promise<Key[]> {
    const keys: Key[] = []
    for (let cursor: string | null = ''; cursor !== null;) {
      const url = `/v1/pools/${pool}/keys?limit=1000${cursor === '' ? '' : `&cursor=${cursor}`}`
      const page = (await this.#get(url)).json as { keys: Key[]; nextCursor: string | null }
      keys.push(...page.keys)
      cursor = page.nextCursor
    }
    return keys
  }

  #searchLog(): void {
    const log = this.#target.takeLog()
    if (log === '') throw new Error('nothing was logged: at the level trace, something is')
    const found = [HUSH, ...this.#secrets].find(secret => log.includes(secret))
    if (found === undefined) return
    const line = log.split('\n').find(line => line.includes(found))
    throw new Error(`the log shows a secret: ${String(line)}`)
  }
}

interface Key {
  id: string
  state: string
  keepAliveBy: string | null
  lease: { id: string } | null
}
interface Pool {
  name: string
  counts: { total: number; free: number; leased: number; cooling: number; waiting: number }
}

function fail(fault: string, sent: Sent, answer: Answer): never {
  const short = (text: string | undefined): string => (text ?? '').slice(0, 2000)
  throw new Error(
    `${fault}\n  ${sent.method} ${short(sent.url)} ${JSON.stringify(sent.headers)} ${short(sent.body)}\n  ` +
      `${answer.status} ${JSON.stringify(answer.headers)} ${short(answer.text)}`
  )
}

function bearer({ token }: Caller): Record<string, string> {
  return token === undefined ? {} : { authorization: `Bearer ${token}` }
}

function textOf(value: Value): string {
  return typeof value === 'object' ? toJson(value) : String(value)
}

/** As encodeURIComponent, but for lone surrogates, which that throws at. */
function encode(text: string): string {
  return encodeURIComponent(Buffer.from(text).toString())
}
