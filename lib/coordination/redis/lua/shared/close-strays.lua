-- Takes runs, the keys of a table, out of those that are open, when their records do not say any more how they stand
-- there. What the requests that they were for have brought is of no use any more.
local function closeStrays(strays)
  if not next(strays) then return end
  for _, member in ipairs(redis.call('ZRANGE', openKey, 0, -1)) do
    local runId, jobId, word = readMember(member)
    if strays[runId] then
      redis.call('ZREM', openKey, member)
      local request = match(word, ';Q=([^;]+)')
      if request then redis.call('HDEL', base .. KEY_REQUESTS .. jobId, request) end
    end
  end
end
