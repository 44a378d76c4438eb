"""SQLAlchemy's models of the tables. Imported where SQLAlchemy is."""

from sqlalchemy import ForeignKey, Numeric, String, Text
from sqlalchemy.dialects.postgresql import BIGINT, BOOLEAN, DATE, INTEGER, TIMESTAMP
from sqlalchemy.dialects.postgresql import DOUBLE_PRECISION as DOUBLE
from sqlalchemy.orm import DeclarativeBase, mapped_column, relationship


class Base(DeclarativeBase):
    pass


class City(Base):
    __tablename__ = "bench_city"
    id = mapped_column(BIGINT, primary_key=True)
    name = mapped_column(String(100), nullable=False)
    country = mapped_column(String(2), nullable=False)
    companies = relationship("Company", back_populates="city")


class Company(Base):
    __tablename__ = "bench_company"
    id = mapped_column(BIGINT, primary_key=True)
    name = mapped_column(String(100), nullable=False)
    rating = mapped_column(INTEGER, nullable=False)
    city_id = mapped_column(ForeignKey(City.id), nullable=False)
    city = relationship(City, back_populates="companies")


class Person(Base):
    __tablename__ = "bench_person"
    id = mapped_column(BIGINT, primary_key=True)
    name = mapped_column(String(100), nullable=False)
    email = mapped_column(Text, nullable=False)
    age = mapped_column(INTEGER, nullable=False)
    company_id = mapped_column(ForeignKey(Company.id), nullable=False)
    active = mapped_column(BOOLEAN, nullable=False)
    balance = mapped_column(Numeric(10, 2), nullable=False)
    score = mapped_column(DOUBLE, nullable=False)
    created = mapped_column(TIMESTAMP(timezone=True), nullable=False)
    born = mapped_column(DATE, nullable=False)
    company = relationship(Company)


class Visit(Base):
    __tablename__ = "bench_visit"
    id = mapped_column(BIGINT, primary_key=True)
    company_id = mapped_column(ForeignKey(Company.id), nullable=False)
    title = mapped_column(String(100), nullable=False)
    count = mapped_column(INTEGER, nullable=False)
