"""The workers API: `workers.ru.md`."""
