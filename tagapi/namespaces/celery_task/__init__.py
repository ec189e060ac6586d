"""The celery_task API (`celery_task.zh.md`): one's own assets, found, watched and checked."""
