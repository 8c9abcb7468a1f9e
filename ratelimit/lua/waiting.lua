-- Part: who waits. Each pool counts its waiting jobs by priority; the mark in
-- the job's hash makes it count once, whatever is repeated. Those that need a
-- place are counted again, for the pool and for the sender: they alone hold up
-- others. A job that lies in the waiting room under a sequence is found there
-- by its customer, or stands in its sender's list of jobs that need no place.

local function unmark(job)
  if not job.mark then
    return
  end
  local priority, _, need, pool = string.match(job.mark, '^(%d)|(%d+)|(%d)|(.*)$')
  -- After a healing, a mark may be one that the new count does not hold.
  local function less(counters, field, sum)
    if tonumber(call('HGET', counters, field) or '0') > 0 then
      call('HINCRBY', counters, field, -1)
      if sum then
        call('HINCRBY', counters, sum, -1)
      end
    end
  end
  less(WAITING_KEY .. pool, priority)
  call('HINCRBY', WAITING_KEY .. pool, 'version', 1)
  if need == '1' then
    less(POOL_KEY .. pool, 'need' .. priority, 'need')
    less(SENDER_KEY .. job.sender, 'need' .. priority, 'need')
  end
  call('HDEL', job.hash, 'q')
  job.mark = nil
end

-- Takes a job out of the lists by which it is found.
local function unshelve(job)
  if not job.lies then
    return
  end
  call('ZREM', READY_KEY .. job.sender, job.lies)
  local customer = CUSTOMER_KEY .. job.customer
  if call('HDEL', customer, '#' .. job.lies) == 1 and call('HINCRBY', customer, '#', -1) <= 0 then
    call('HDEL', customer, '#')
  end
  call('HDEL', job.hash, 'l')
  job.lies = nil
end

-- Those of higher priority come first, then the older ones.
local function make_ready(sender, priority, sequence)
  call('ZADD', READY_KEY .. sender, us(tonumber(priority) * 2 ^ 50 + tonumber(sequence)), sequence)
end

local function mark(job, pool, priority, need)
  local text = priority .. '|' .. us(job.attempt) .. '|' .. (need and '1' or '0') .. '|' .. pool
  if job.mark == text then
    return
  end
  unmark(job)
  call('HINCRBY', WAITING_KEY .. pool, priority, 1)
  call('HINCRBY', WAITING_KEY .. pool, 'version', 1)
  if need then
    for _, counters in ipairs({ POOL_KEY .. pool, SENDER_KEY .. job.sender }) do
      call('HINCRBY', counters, 'need' .. priority, 1)
      call('HINCRBY', counters, 'need', 1)
    end
  end
  call('HSET', job.hash, 'q', text)
  job.mark = text
end

-- Makes the waiting jobs of a customer ready, who has been counted or has
-- written in. Those that still need a place leave the list when they are asked
-- for.
local function wake(customer)
  local f = call('HGETALL', CUSTOMER_KEY .. customer)
  for i = 1, #f, 2 do
    local sequence = string.match(f[i], '^#(%d+)$')
    if sequence then
      local sender, priority = string.match(f[i + 1], '^(.*)|(%d)$')
      make_ready(sender, priority, sequence)
    end
  end
end
