import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import files from './coverage-map.js'

// Between the run and the report of its coverage. The source maps that tsx makes have no sources in them, and the report
// then takes each file for one covered line: all rooms look complete, even those that no test enters.
const folder = '.tap/coverage'
const missing = new Set(files())

for (const name of readdirSync(folder)) {
  const path = `${folder}/${name}`
  const coverage = JSON.parse(readFileSync(path, 'utf8'))
  for (const { url } of coverage.result) {
    for (const file of missing) if (url.endsWith(`/${file}`)) missing.delete(file)
  }
  for (const [url, { data }] of Object.entries(coverage['source-map-cache'] ?? {})) {
    if (data?.sources?.length === 1) data.sourcesContent = [readFileSync(fileURLToPath(url), 'utf8')]
  }
  writeFileSync(path, JSON.stringify(coverage))
}

// A file that no test loads is in no report. One of nothing but types is never loaded: nothing in it is left to run.
const RUNS = /^(export )?(default |async )?(const|let|class|abstract class|function) /m
const unseen = [...missing].filter(file => RUNS.test(readFileSync(file, 'utf8')))
if (unseen.length > 0) throw new Error(`no test enters ${unseen.join(', ')}`)
