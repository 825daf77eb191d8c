-- keepAlive: the end of a key's life moves to now + keepAliveMs.
-- ARGV 3 id
-- Answers living with the key; unknown-key; unknown-pool. O(log n).
function verbs.keepAlive(a)
  local record = find(a[1])
  if not record then return { 'unknown-key' } end
  keepAlive(a[1], record)
  write(a[1], record)
  return shown('living', a[1], record, false)
end
