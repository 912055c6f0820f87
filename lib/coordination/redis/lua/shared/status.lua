-- How the runs of a job have ended, in a field of the job: `e=success/failed/longest/first`, with when the last successful one
-- ended (0 for none), how many have failed since, how long the longest successful one took, and when the first one ended. It
-- is always the last field, so that a claim need not look at it.

-- The job's fields, or a fingerprint with them, once a run has ended. `report` is `+` or `=` with how long it took, or `-` for a run that
-- failed.
local function withStatus(text, report, nowText)
  local at = find(text, ';e=', 1, true)
  local success, failed, longest, first, others = '0', '0', '0', nowText, ''
  if at then
    success, failed, longest, first, others = match(text, '^(%d+)/(%d+)/(%d+)/(%d+)(.*)$', at + 3)
    text = sub(text, 1, at - 1)
  end
  if report ~= '-' then
    success, failed = nowText, '0'
    longest = format('%.0f', math.max(tonumber(longest), tonumber(sub(report, 2))))
  else
    failed = format('%.0f', failed + 1)
  end
  return text .. others .. ';e=' .. success .. '/' .. failed .. '/' .. longest .. '/' .. first
end
