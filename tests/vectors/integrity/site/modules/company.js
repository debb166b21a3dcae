export default class Company{}
