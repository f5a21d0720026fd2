"""The words that the sample shop's invented names, places and descriptions are put together from."""

PLACES = (
    # city, state, postal code, country
    ("Pasadena", "CA", "90003", "USA"),
    ("Portland", "OR", "97201", "USA"),
    ("Boston", "MA", "02108", "USA"),
    ("Madison", "WI", "53703", "USA"),
    ("Austin", "TX", "73301", "USA"),
    ("Nantes", None, "44000", "France"),
    ("Lyon", None, "69004", "France"),
    ("Toulouse", None, "31000", "France"),
    ("Hamburg", None, "20095", "Germany"),
    ("Leipzig", None, "04109", "Germany"),
    ("Porto", None, "4000-001", "Portugal"),
    ("Madrid", None, "28034", "Spain"),
    ("Bergen", None, "5003", "Norway"),
    ("Aarhus", None, "8200", "Denmark"),
    ("Glasgow", None, "G1 1AA", "UK"),
    ("Cardiff", None, "CF10 1AA", "UK"),
    ("Melbourne", "Victoria", "3004", "Australia"),
    ("Auckland", None, "1010", "New Zealand"),
    ("Osaka", "Osaka", "530-0001", "Japan"),
    ("Singapore", None, "079903", "Singapore"),
)

# fmt: off
FIRST_NAMES = (
    "Ada", "Bruno", "Carla", "Dmitri", "Elin", "Farid", "Greta", "Hugo", "Ines", "Jonas", "Kaori", "Lena", "Marco",
    "Nadia", "Oskar", "Priya", "Quentin", "Rosa", "Stefan", "Tove", "Umar", "Vera", "Wim", "Yara", "Zoltan",
)
LAST_NAMES = (
    "Abel", "Brandt", "Castel", "Dunmore", "Engel", "Fontane", "Grieve", "Haldane", "Iversen", "Jourdan", "Keller",
    "Lindqvist", "Moreau", "Norling", "Okafor", "Pereira", "Quist", "Rowan", "Sandoval", "Tanaka", "Ulrich", "Valente",
    "Whitlock", "Yildiz", "Zeller",
)
# fmt: on
SHOP_KINDS = (
    "Model Shop",
    "Toys & Co.",
    "Collectables",
    "Hobby House",
    "Gifts",
    "Miniatures",
    "Trading",
    "& Daughters",
)
STREETS = ("Harbour Street", "Station Road", "Mill Lane", "Market Square", "Linden Avenue", "Quay Side", "Church Row")

LINES = {
    # product line: (codes' scales, invented makers, invented kinds of model)
    "Classic Cars": (("1:18", "1:24"), ("Aurelio", "Bexhall", "Corvanti"), ("Coupé", "Roadster", "Saloon", "Spider")),
    "Motorcycles": (("1:10", "1:12"), ("Falk", "Tornio", "Redwing"), ("Twin 650", "Scrambler", "Tourer", "Single 350")),
    "Planes": (("1:72", "1:144"), ("Skylark", "Norcraft", "Halcyon"), ("Biplane", "Flying Boat", "Trimotor", "Glider")),
    "Ships": (("1:350", "1:700"), ("Meridian", "Saint Elmo", "Ostrava"), ("Clipper", "Ferry", "Steamer", "Schooner")),
    "Trains": (("1:32", "1:87"), ("Grauberg", "Pellworth", "Tamarack"), ("Tank Engine", "Railcar", "Express", "Tram")),
    "Trucks and Buses": (("1:24", "1:50"), ("Brockner", "Dunster", "Oldham"), ("Coach", "Tanker", "Pick-up", "Van")),
    "Vintage Cars": (
        ("1:18", "1:24"),
        ("Merrow", "Pemberly", "Vauclair"),
        ("Tourer", "Landaulet", "Phaeton", "Runabout"),
    ),
}

THEMES = {
    # the hidden taste: what collectors collect, across product lines
    "racing": "in racing colours, with start numbers",
    "postal service": "in the livery of the mail",
    "fire brigade": "in red, with ladders and hoses",
    "polar expedition": "as it was fitted out for the ice",
    "film set": "as seen in a well-known film",
    "royal visit": "with crests, as on the day of the visit",
    "farm life": "with mud on the wheels and milk churns",
    "night service": "in midnight blue, with working lamps",
}

VENDORS = ("Tinsmith Works", "Little Harbour", "Die & Cast", "Northlight Models", "Four Corners Miniatures")
