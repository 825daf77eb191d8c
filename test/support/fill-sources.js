import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

// Between the run and the report of its coverage. The source maps that tsx makes have no sources in them, and the report
// then takes each file for one covered line: all rooms look complete, even those that no test enters.
const folder = '.tap/coverage'

for (const name of readdirSync(folder)) {
  const path = `${folder}/${name}`
  const coverage = JSON.parse(readFileSync(path, 'utf8'))
  for (const [url, { data }] of Object.entries(coverage['source-map-cache'] ?? {})) {
    if (data?.sources?.length === 1) data.sourcesContent = [readFileSync(fileURLToPath(url), 'utf8')]
  }
  writeFileSync(path, JSON.stringify(coverage))
}
