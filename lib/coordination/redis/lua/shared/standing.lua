-- The pauses of groups and of all jobs, by their scopes: until when one was, or `true` for one in force.
local function readStanding()
  local standing = {}
  local noted = redis.call('HGETALL', base .. KEY_PAUSES)
  for i = 1, #noted, 2 do
    local pause = pauseUntil(noted[i + 1], now)
    standing[noted[i]] = sub(pause, 1, 1) ~= RESUMED_MARK or tonumber(match(pause, '%d+')) or -1
  end
  return standing
end

-- Whether a job is paused, and when it was resumed, with what its group and all jobs are.
local function pauseWith(standing, group, isPaused, resumedAt)
  for _, scope in ipairs({ ALL_SCOPE, GROUP_SCOPE .. group }) do
    local pause = standing[scope]
    if pause == true then isPaused = true elseif pause then resumedAt = math.max(resumedAt, pause) end
  end
  return isPaused, resumedAt
end
