"""One peer, in a process of its own: `apscheduler.py <jobs> <warm-up, ms> <seconds>`. See meter.ts for what it prints."""

import asyncio
import json
import logging
import math
import resource
import sys
import time

# Not this file, which has the package's name.
sys.path.pop(0)

from apscheduler.jobstores.memory import MemoryJobStore
from apscheduler.schedulers.asyncio import AsyncIOScheduler

jobs, warm_up, seconds = (int(arg) for arg in sys.argv[1:])
measuring = False
fires = 0
lags = []
# A handler is not told its nominal time. No run is dropped, so it is that of the run before plus a second.
nominal = [0.0] * jobs


async def handler(job):
    global fires
    if measuring:
        if fires % 16 == 0:
            lags.append((time.time() - nominal[job]) * 1000)
        fires += 1
    nominal[job] += 1


def cpu():
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return (usage.ru_utime + usage.ru_stime) * 1e6


async def main():
    global measuring
    # It warns of each run that it drops, which would cost it more.
    logging.disable(logging.CRITICAL)
    scheduler = AsyncIOScheduler(
        jobstores={"default": MemoryJobStore()},
        # Nothing is dropped because it is late or the run before has not ended.
        job_defaults={"max_instances": 100, "misfire_grace_time": 60, "coalesce": False},
        timezone="UTC",
    )
    for job in range(jobs):
        scheduler.add_job(handler, "cron", second="*", args=[job], id=f"job-{job}")
    scheduler.start()
    for added in scheduler.get_jobs():
        nominal[added.args[0]] = added.next_run_time.timestamp()
    await asyncio.sleep(math.ceil(time.time() + warm_up / 1000) - 0.5 - time.time())
    began = time.time()
    before = cpu()
    measuring = True
    await asyncio.sleep(began + seconds - time.time())
    used = cpu() - before
    measuring = False
    due = round(time.time() - began) * jobs
    result = {"fires": fires, "ran": fires, "due": due, "cpu": used, "lags": lags, "doubled": 0}
    print(json.dumps(result), flush=True)


asyncio.run(main())
