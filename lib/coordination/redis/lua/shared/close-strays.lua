-- Whether a run that goes on is for a request: it has taken over another one.
local function isTakenOver(jobId, runId, request)
  local record = redis.pcall('GET', base .. KEY_CLAIM .. jobId)
  local grants = redis.call('HVALS', runsKey(jobId))
  if type(record) == 'string' then grants[#grants + 1] = select(4, readOngoing(record)) end
  for _, grant in ipairs(grants) do
    if runIdOf(grant) ~= runId and match(grant, ';Q=([^;%s]+)') == request then return true end
  end
  return false
end

-- Takes runs, the keys of a table, out of those that are open, when their records do not say any more how they stand
-- there. What the requests that they were for have brought is of no use any more, unless they were taken over.
local function closeStrays(strays)
  if not next(strays) then return end
  for _, member in ipairs(redis.call('ZRANGE', openKey, 0, -1)) do
    local runId, jobId, word = readMember(member)
    if strays[runId] then
      redis.call('ZREM', openKey, member)
      local request = match(word, ';Q=([^;]+)')
      if request and not isTakenOver(jobId, runId, request) then
        redis.call('HDEL', base .. KEY_REQUESTS .. jobId, request)
      end
    end
  end
end
