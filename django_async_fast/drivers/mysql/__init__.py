"""MySQL and MariaDB: asyncmy under MySQLdb's interface, or MySQLdb in threads."""
