"""The pages people look at: server-rendered, without scripts of others."""
