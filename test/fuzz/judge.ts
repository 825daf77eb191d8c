import { STATUS_OF } from '../support/problems.ts'
import type { ApiDocument, Operation } from './document.ts'
import type { Caller } from './callers.ts'
import { HUSH } from './values.ts'

export interface Sent {
  method: string
  url: string
  headers: Readonly<Record<string, string>>
  body: string | undefined
  by: Caller
}

export interface Answer {
  status: number
  headers: Readonly<Record<string, string | undefined>>
  text: string
  /** The JSON of the body, undefined where it is none. */
  json: unknown
}

const PROBLEM = 'application/problem+json'
const COMMON = ['type', 'title', 'status', 'detail', 'code', 'instance']
/** The members that the contract lists besides, by code. */
const OWN: Record<string, string[]> = {
  'invalid-request': ['errors'],
  'no-free-key': ['reason', 'retryAfterMs', 'counts'],
  'key-exists': ['indexes'],
  'key-retired': ['indexes'],
  'keyspace-exhausted': ['remaining'],
  'not-ready': ['reasons'],
  draining: ['reasons']
}
/** Paths of old clients: their refusals have shapes of their own. */
export function isOfDialect(url: string): boolean {
  return url.startsWith('/api/')
}

/** What is wrong with an answer, in words; nothing where all is as the document and the contract say. */
export function faultsOf(
  document: ApiDocument,
  operation: Operation | undefined,
  sent: Sent,
  answer: Answer,
  secrets: ReadonlySet<string>
): string[] {
  const { status, headers, text } = answer
  const faults: string[] = []
  const isDialect = isOfDialect(sent.url)
  const type = (headers['content-type'] ?? '').split(';')[0] ?? ''
  if (status >= 500 && !isOverload(answer)) faults.push(`${status} is a fault of ours`)
  if (sent.method === 'HEAD' && text !== '') faults.push('an answer to HEAD has a body')
  if (operation !== undefined) faults.push(...undocumented(document, operation, sent.method, type, answer))
  else if (!isDialect && !sent.url.startsWith('/docs') && type !== PROBLEM)
    faults.push(`no route, and ${type} instead of a problem`)

  if (type === PROBLEM) faults.push(...faultsOfProblem(sent.method, answer))
  else if (status >= 400 && !isDialect && !sent.url.startsWith('/docs')) faults.push(`${status} is no problem+json`)
  if (headers['x-request-id'] === undefined) faults.push('no X-Request-Id')
  const { 'x-request-id': id = '' } = sent.headers
  if (/^[A-Za-z0-9._~-]{1,128}$/.test(id) !== (headers['x-request-id'] === id)) faults.push('the X-Request-Id is wrong')
  if (/^\/(v1|api)\//.test(sent.url) && headers['cache-control'] !== 'no-store') faults.push('may be cached')
  if (status === 405 && headers['allow'] === undefined) faults.push('405 without Allow')

  if (!isDialect) faults.push(...leaks(sent, answer, secrets))
  faults.push(...wrongLengths(answer.json))
  return faults
}

/** The only fault of ours that a caller may bring about. */
function isOverload({ status, json }: Answer): boolean {
  return status === 503 && ['overloaded', 'not-ready'].includes(String((json as { code?: unknown })?.code))
}

function undocumented(
  document: ApiDocument,
  operation: Operation,
  method: string,
  type: string,
  { status, headers, text, json }: Answer
): string[] {
  const documented = operation.responses[String(status)]
  if (documented === undefined) return [`${operation.id} does not document ${status}`]
  const faults: string[] = []
  for (const [header, { required }] of Object.entries(documented.headers ?? {})) {
    const value = headers[header.toLowerCase()]
    if (value === undefined) {
      if (required === true) faults.push(`${operation.id} ${status} lacks the header ${header}`)
      continue
    }
    const fault = document.headerFault(operation, String(status), header, value)
    if (fault !== undefined) faults.push(`${operation.id} ${status} ${header}: ${fault}`)
  }
  if (documented.content === undefined) {
    if (text !== '') faults.push(`${operation.id} ${status} has a body, which is not documented`)
  } else if (!(type in documented.content)) {
    faults.push(`${operation.id} ${status} has the type ${type}, which is not documented`)
  } else if (method !== 'HEAD' && type.endsWith('json')) {
    const fault = document.bodyFault(operation, String(status), type, json)
    if (fault !== undefined) faults.push(`${operation.id} ${status}: ${fault}`)
  }
  return faults
}

function faultsOfProblem(method: string, { status, headers, json }: Answer): string[] {
  if (method === 'HEAD') return []
  const problem = json as Record<string, unknown>
  const code = String(problem['code'])
  const faults: string[] = []
  const expected: Record<string, unknown> = {
    type: `/problems/${code}`,
    status: (STATUS_OF as Record<string, number>)[code],
    instance: headers['x-request-id']
  }
  for (const [member, value] of Object.entries(expected)) {
    if (problem[member] !== value) faults.push(`the problem's ${member} is ${String(problem[member])}`)
  }
  if (problem['status'] !== status) faults.push(`${code} came with ${status}`)
  for (const member of ['title', 'detail']) {
    if (typeof problem[member] !== 'string' || problem[member] === '') faults.push(`the problem has no ${member}`)
  }
  for (const member of Object.keys(problem)) {
    if (!COMMON.includes(member) && !(OWN[code] ?? []).includes(member)) faults.push(`${code} has a member ${member}`)
  }
  const { retryAfterMs: ms } = problem
  const seconds = headers['retry-after']
  if (typeof ms === 'number' && seconds !== String(Math.max(1, Math.ceil(ms / 1000)))) {
    faults.push(`Retry-After is ${String(seconds)} for ${ms} ms`)
  }
  if ([429, 503].includes(status) && !/^[1-9]\d*$/.test(seconds ?? '')) faults.push(`${status} without Retry-After`)
  return faults
}

/** Secrets stand where keys are made or leased, or revealed on request, and nowhere else. */
function leaks(sent: Sent, { status, headers, text, json }: Answer, secrets: ReadonlySet<string>): string[] {
  const faults: string[] = []
  if (JSON.stringify(headers).includes(HUSH)) faults.push('a header shows what it was given')
  if (status >= 400 && text.includes(HUSH)) faults.push('an error shows what it was given')
  const { by, method, url } = sent
  const mayShow = status < 300 && (method === 'POST' || (by.role === 'admin' && /[?&]reveal=/.test(url)))
  if (mayShow) return faults
  for (const shown of stringsOf(json)) if (secrets.has(shown)) faults.push(`a key is shown: ${shown}`)
  return faults
}

function* stringsOf(value: unknown): Generator<string> {
  if (typeof value === 'string') yield value
  else if (typeof value === 'object' && value !== null) for (const part of Object.values(value)) yield* stringsOf(part)
}

/** No time that is left is negative, whatever it is of. */
function wrongLengths(value: unknown): string[] {
  if (typeof value !== 'object' || value === null) return []
  return Object.entries(value).flatMap(([name, part]) =>
    /(In|After)Ms$/.test(name) && part !== null && !(Number.isSafeInteger(part) && (part as number) >= 0)
      ? [`${name} is ${String(part)}`]
      : wrongLengths(part)
  )
}
