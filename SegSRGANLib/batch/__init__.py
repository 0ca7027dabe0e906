"""Many volumes: what to do (`jobs`), where results go (`layout`), one at a time (`work`), several at once (`pool`)."""
