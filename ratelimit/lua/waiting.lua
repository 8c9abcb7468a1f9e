-- Part: who waits. Each pool counts its waiting jobs by priority; the mark in
-- the job's hash makes it count once, whatever is repeated.

local function unmark(job)
  if not job.mark then
    return
  end
  local priority, _, pool = string.match(job.mark, '^(%d)|(%d+)|(.*)$')
  local counters = key.waiting .. pool
  -- After a healing, a mark may be one that the new count does not hold.
  if tonumber(call('HGET', counters, priority) or '0') > 0 then
    call('HINCRBY', counters, priority, -1)
  end
  call('HINCRBY', counters, 'version', 1)
  call('HDEL', job.hash, 'q')
  job.mark = nil
end

local function mark(job, pool, priority)
  local text = priority .. '|' .. us(job.attempt) .. '|' .. pool
  if job.mark == text then
    return
  end
  unmark(job)
  call('HINCRBY', key.waiting .. pool, priority, 1)
  call('HINCRBY', key.waiting .. pool, 'version', 1)
  call('HSET', job.hash, 'q', text)
  job.mark = text
end

-- Whether others wait for the pool at this priority or a higher one.
local function others_wait(job, pool, priority)
  local n = 0
  local counters = call('HMGET', key.waiting .. pool, '0', '1', '2')
  for p = 0, tonumber(priority) do
    n = n + tonumber(counters[p + 1] or '0')
  end
  if job.mark then
    local own, _, own_pool = string.match(job.mark, '^(%d)|(%d+)|(.*)$')
    if own_pool == pool and own <= priority then
      n = n - 1
    end
  end
  return n > 0
end
