"""Who works at the company: one roster, from which every system takes its people.

Belongs here: names, divisions, and what each person is called in each system. Does not belong here: people
of partners (`catalogue.USERS`), customers (`people.py`).
"""

from __future__ import annotations

from dataclasses import dataclass

DOMAIN = "northbeam.example"


@dataclass(frozen=True, slots=True)
class Employee:
    """`division` is one of the fleet's seven, or "operations". `slack_id` and `github` are None for people
    without an account there; `left` people keep their name on old records."""

    key: str
    number: int
    first_name: str
    last_name: str
    title: str
    division: str
    slack_id: str
    github: str | None = None
    left: bool = False

    @property
    def name(self) -> str:
        return f"{self.first_name} {self.last_name}"

    @property
    def email(self) -> str:
        return f"{self.key}@{DOMAIN}"


STAFF = (
    Employee("nora", 1, "Nora", "Whitfield", "Chief Operating Officer", "operations", "U0NORA"),
    Employee("dan", 2, "Dan", "Okafor", "Supply Chain Manager", "supply_chain", "U0DAN"),
    Employee("priya", 3, "Priya", "Raman", "Factory Liaison", "supply_chain", "U0PRIYA"),
    Employee("marta", 4, "Marta", "Kowalczyk", "Head of Sales", "sales", "U0MARTA"),
    Employee("jonas", 5, "Jonas", "Lindqvist", "Key Account Manager, Europe", "sales", "U0JONAS"),
    Employee("aisha", 6, "Aisha", "Rahman عائشة", "Account Manager, North America", "sales", "U0AISHA"),
    Employee("theo", 7, "Theo", "Brandt", "Marketing Lead", "marketing", "U0THEO"),
    Employee("camille", 8, "Camille", "Dubois", "E-mail and Content", "marketing", "U0CAMIL"),
    Employee("rui", 9, "Rui", "Fernandes", "Paid Media", "marketing", "U0RUI"),
    Employee("sora", 10, "Sora", "Tanaka 田中", "Design Lead", "design", "U0SORA"),
    Employee("elif", 11, "Elif", "Yılmaz", "Packaging Designer", "design", "U0ELIF"),
    Employee("owen", 12, "Owen", "Gallagher", "Head of Product", "product_design", "U0OWEN"),
    Employee("mei", 13, "Mei", "Zhao 赵梅", "Hardware Engineer", "product_design", "U0MEI", "mei-zhao"),
    Employee("lucas", 14, "Lucas", "Meyer", "App Lead", "app_development", "U0LUCAS", "lucasmeyer"),
    Employee("ines", 15, "Inês", "Sousa", "iOS and Android Developer", "app_development", "U0INES", "ines-sousa"),
    Employee("kofi", 16, "Kofi", "Mensah", "Backend Developer", "app_development", "U0KOFI", "kofimensah"),
    Employee("hannah", 17, "Hannah", "O'Neill", "Support Lead", "customer_support", "U0HANNA"),
    Employee("diego", 18, "Diego", "Castillo", "Support Agent", "customer_support", "U0DIEGO"),
    Employee("greta", 19, "Greta", "Sundberg", "Account Manager (former)", "sales", "U0GRETA", left=True),
)

BY_KEY = {employee.key: employee for employee in STAFF}


def of_division(division: str) -> tuple[Employee, ...]:
    """Those who work there now."""
    return tuple(employee for employee in STAFF if employee.division == division and not employee.left)
