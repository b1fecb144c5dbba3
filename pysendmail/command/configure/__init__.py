"""From a mail address to a configuration that works: what `pysendmail configure` is made of."""
