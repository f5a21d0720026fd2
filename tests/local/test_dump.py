"""Dumps of MySQL and MariaDB of several versions, and of several tools, load into the local MariaDB."""

import gzip
from pathlib import Path

import pytest

from contracts.mysql import Login
from emulator.errors import LocalRunError
from local.dump import load, translated
from tests.databases import execute

# What mysqldump of MySQL 8.0 and 8.4 writes around and into a table ("mysqldump", "CREATE TABLE" of MySQL's manual).
MYSQL_8 = r"""-- MySQL dump 10.13  Distrib 8.4.3, for Linux (x86_64)
/*!50503 SET NAMES utf8mb4 */;
/*!40014 SET @OLD_FOREIGN_KEY_CHECKS=@@FOREIGN_KEY_CHECKS, FOREIGN_KEY_CHECKS=0 */;
SET @MYSQLDUMP_TEMP_LOG_BIN = @@SESSION.SQL_LOG_BIN;
SET @@SESSION.SQL_LOG_BIN= 0;
--
-- GTID state at the beginning of the backup; isn't it
--
SET @@GLOBAL.GTID_PURGED=/*!80000 '+'*/ '3E11FA47-71CA-11E1-9E33-C80AA9429562:1-23,
4E11FA47-71CA-11E1-9E33-C80AA9429562:1-5';
CREATE DATABASE /*!32312 IF NOT EXISTS*/ `shop`
  /*!40100 DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_ai_ci */ /*!80016 DEFAULT ENCRYPTION='N' */;
USE `shop`;
CREATE TABLE `items` (
  `id` bigint unsigned NOT NULL AUTO_INCREMENT,
  `name` varchar(70) COLLATE utf8mb4_de_pb_0900_as_cs NOT NULL COMMENT 'DEFAULT (x), it''s; USE `a`.`b`',
  `upper_name` varchar(70) GENERATED ALWAYS AS (upper(`name`)) STORED NOT NULL,
  `token` binary(16) DEFAULT (uuid_to_bin(uuid())),
  `extra` json DEFAULT (json_object(_utf8mb4'a',json_array(1,2))),
  `hidden` int DEFAULT '7' /*!80023 INVISIBLE */,
  `place` point /*!80003 SRID 4326 */ DEFAULT NULL,
  `price` decimal(10,2) NOT NULL DEFAULT '0.00',
  PRIMARY KEY (`id`),
  UNIQUE KEY `by_name` (`name`(10),`price`),
  KEY `by_lower` ((lower(`name`))),
  KEY `mixed` (`price`,(`id` + 1)) /*!80000 INVISIBLE */,
  CONSTRAINT `a_name` CHECK (regexp_like(`name`,_utf8mb4'^[A-Z]',_utf8mb4'c'))
) /*!50100 TABLESPACE `innodb_system` */ ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_0900_ai_ci
  ENCRYPTION='N';
LOCK TABLES `items` WRITE;
/*!40000 ALTER TABLE `items` DISABLE KEYS */;
INSERT INTO `items` (`id`, `name`, `token`, `extra`, `hidden`, `place`, `price`) VALUES
(1,'Tee; it\'s `a`.`b` utf8mb4_0900_ai_ci',_binary '01234567\0\n\Z9abcd','{"a": 1}',7,NULL,1.50),
(2,'/* CREATE DATABASE x; -- "quoted"
USE `other`;
DEFAULT (1)',NULL,NULL,8,NULL,2.00);
/*!40000 ALTER TABLE `items` ENABLE KEYS */;
UNLOCK TABLES;
/*!50001 CREATE ALGORITHM=UNDEFINED */
/*!50013 DEFINER=`somebody`@`%.example.org` SQL SECURITY DEFINER */
/*!50001 VIEW `cheap` AS select `shop`.`items`.`id` AS `id` from `shop`.`items` where (`items`.`price` < 2) */;
DELIMITER ;;
/*!50003 CREATE*/ /*!50017 DEFINER=`root`@`localhost`*/ /*!50003 TRIGGER `t` BEFORE INSERT ON `items` FOR EACH ROW
BEGIN SET NEW.price = NEW.price; END */;;
DELIMITER ;
SET @@SESSION.SQL_LOG_BIN = @MYSQLDUMP_TEMP_LOG_BIN;
"""
MYSQL_57 = r"""/*!40101 SET NAMES utf8 */;
DROP TABLE IF EXISTS `items`;
CREATE TABLE `items` (`id` int(10) unsigned NOT NULL, `name` varchar(70) COLLATE utf8_unicode_ci NOT NULL,
  `seen` datetime DEFAULT '0000-00-00 00:00:00', PRIMARY KEY (`id`)) ENGINE=MyISAM DEFAULT CHARSET=utf8;
INSERT INTO `items` VALUES (1,'Käse','0000-00-00 00:00:00'),(2,'Brot',NULL);
"""
MARIADB = r"""/*M!999999\- enable the sandbox mode */
/*!40101 SET @saved_cs_client     = @@character_set_client */;
CREATE TABLE `items` (`id` int(11) NOT NULL, `name` longtext CHARACTER SET utf8mb4 COLLATE utf8mb4_bin
  CHECK (json_valid(`name`))) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;
INSERT INTO `items` VALUES (1,'"Käse"'),(2,'"Brot"');
"""
QUALIFIED = """CREATE SCHEMA IF NOT EXISTS shop DEFAULT CHARACTER SET utf8 ;
DROP TABLE IF EXISTS shop.items, `Shop`.`other`;
CREATE TABLE IF NOT EXISTS `shop`.`other` (id INT PRIMARY KEY) ENGINE=InnoDB;
CREATE TABLE IF NOT EXISTS shop.items (
  id INT PRIMARY KEY, name TEXT, other INT,
  CONSTRAINT fk FOREIGN KEY (other) REFERENCES `shop`.`other` (`id`));
CREATE INDEX by_other ON shop.items (other);
INSERT INTO shop.other VALUES (1); INSERT INTO `shop`.`items` VALUES (1,'shop.items',1);
INSERT INTO shop.items SELECT 2, 'from shop.other', o.id FROM shop.other o;
UPDATE shop.items SET name = 'Käse' WHERE id = 1;
"""


@pytest.mark.parametrize("dump", [MYSQL_8, MYSQL_57, MARIADB, QUALIFIED], ids=["8.4", "5.7", "mariadb", "qualified"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "gzip"])
def test_a_dump_loads_whatever_wrote_it(shop_database: Login, tmp_path: Path, dump: str, encoding: str) -> None:
    path = tmp_path / "dump.sql"
    content = gzip.compress(dump.encode()) if encoding == "gzip" else dump.encode(encoding)
    path.write_bytes(content)
    load(shop_database, path)
    assert [row[0] for row in execute(shop_database, ["SELECT id FROM items ORDER BY id"])] == [1, 2]


def test_nothing_of_the_rows_is_translated(shop_database: Login, tmp_path: Path) -> None:
    path = tmp_path / "dump.sql"
    path.write_text(MYSQL_8)
    load(shop_database, path)
    rows = execute(shop_database, ["SELECT name, hidden, token FROM items ORDER BY id"])
    assert rows == [
        ("Tee; it's `a`.`b` utf8mb4_0900_ai_ci", 7, b"01234567\0\n\x1a9abcd"),
        ('/* CREATE DATABASE x; -- "quoted"\nUSE `other`;\nDEFAULT (1)', 8, None),
    ]
    assert execute(shop_database, ["SELECT id FROM cheap"]) == [(1,)]
    assert execute(shop_database, ["SELECT column_comment FROM information_schema.columns WHERE column_name = 'name'"
                                   f" AND table_schema = '{shop_database.database}'"])[0] == (
        "DEFAULT (x), it's; USE `a`.`b`",
    )  # fmt: skip


def test_a_line_of_a_megabyte_is_only_looked_at_up_to_its_rows(shop_database: Login, tmp_path: Path) -> None:
    path = tmp_path / "dump.sql"
    rows = ",".join(f"({number},'shop.items VALUES utf8mb4_0900_ai_ci')" for number in range(20_000))
    path.write_text(
        f"CREATE TABLE shop.items (id INT, name TEXT);\nINSERT INTO `shop`.`items` (id, name) VALUES {rows};"
    )
    load(shop_database, path)
    found = execute(shop_database, ["SELECT COUNT(*), MIN(name), MAX(name) FROM items"])
    assert found == [(20_000, *["shop.items VALUES utf8mb4_0900_ai_ci"] * 2)]


def test_lines_stay_lines() -> None:
    for dump in (MYSQL_8, MYSQL_57, MARIADB, QUALIFIED):
        lines = dump.encode().splitlines(keepends=True)
        assert b"".join(translated(lines)).count(b"\n") == len(lines)


@pytest.mark.parametrize(
    ("dump", "message"),
    [
        (
            b"SET @a = 1;\n\nCREATE TABLE broken (id INT,\n what IS this);\n",
            r"dump.sql, line 3: Unknown data type: 'IS'",
        ),
        (b"CREATE TABLE a.x (id INT);\nCREATE TABLE b.x (id INT);\n", r"found a \(line 1\) and b \(line 2\)"),
        (b"USE mysql;\nCREATE TABLE x (id INT);\nUSE shop;\n", r"found mysql \(line 1\) and shop \(line 3\)"),
        (b"PGDMP\x01\x0e\x00", r"expected the SQL text that mysqldump writes"),
        (b"\x1f\x8b\x08broken", r"dump.sql: "),
        (
            b"CREATE TABLE x (t TEXT CHARSET utf8mb4);\nINSERT INTO x VALUES ('\xe9t\xe9');\n",
            r"line 2: Incorrect string",
        ),
    ],
    ids=["syntax", "two databases", "two uses", "binary", "broken gzip", "other encoding"],
)
def test_what_is_not_understood_is_told_in_one_line(
    shop_database: Login, tmp_path: Path, dump: bytes, message: str
) -> None:
    path = tmp_path / "dump.sql"
    path.write_bytes(dump)
    with pytest.raises(LocalRunError, match=message) as raised:
        load(shop_database, path)
    assert str(raised.value).count("\n") == 0
