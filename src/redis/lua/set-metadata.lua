-- setMetadata: what is written on a key.
-- ARGV 3 id, 4 a flat object as JSON, or ''
-- Answers living with the key; unknown-key; unknown-pool. O(log n).
function verbs.setMetadata(a)
  local record = find(a[1])
  if not record then return { 'unknown-key' } end
  record[METADATA] = a[2]
  write(a[1], record)
  return shown('living', a[1], record, false)
end
